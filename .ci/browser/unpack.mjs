// Unpacks the browser of @sparticuz/chromium into the current folder. It is built for
// Linux on x86-64; elsewhere the tests use a browser that is installed.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

if (process.platform === "linux" && process.arch === "x64") {
  // The package unpacks into the temporary folder only.
  process.env.TMPDIR = process.cwd();
  const { inflate } = await import("@sparticuz/chromium");
  const packed = join("node_modules", "@sparticuz", "chromium", "bin");
  for (const part of ["al2023.tar.br", "fonts.tar.br", "chromium.br"]) {
    await inflate(join(packed, part));
  }
  // The package's own names folders of AWS Lambda.
  const fonts = join(tmpdir(), "fonts", "fonts");
  writeFileSync("fonts.conf", `<fontconfig><dir>${fonts}</dir></fontconfig>\n`);
}
