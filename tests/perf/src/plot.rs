//! The plots of the benchmark.

use std::path::PathBuf;

use perf::measure::{CostSamples, FunctionProfile, SizeCost};
use perf::{ConnectorKind, Function};
use plots::{Bars, Error, Plot, Series};

/// Starts of all functions, in processor time.
pub fn starts(profiles: &[FunctionProfile]) -> Result<PathBuf, Error> {
    let names = profiles.iter().map(|profile| profile.function.name());
    let names: Vec<_> = names.map(str::to_owned).collect();
    let series = |name: &str, phase: fn(&FunctionProfile) -> &CostSamples| {
        Series::new(name, profiles.iter().map(|p| phase(p).cpu.median()))
    };
    let series = [
        series("init", |profile| &profile.init),
        series("first invocation", |profile| &profile.first),
    ];
    let plot = Plot {
        name: "starts",
        title: "A cold start",
        unit: "processor time in ms, median",
    };
    plot.bars(Bars::Stacked, &names, &series)
}

/// Starts of the same function in several languages.
pub fn languages(starts: &[(Function, CostSamples)]) -> Result<PathBuf, Error> {
    let names = starts
        .iter()
        .map(|(function, _)| function.name().to_owned());
    let names: Vec<_> = names.collect();
    let series = [
        Series::new("clock", starts.iter().map(|(_, cost)| cost.wall.median())),
        Series::new(
            "processor",
            starts.iter().map(|(_, cost)| cost.cpu.median()),
        ),
    ];
    let plot = Plot {
        name: "languages",
        title: "A cold start of hello-world",
        unit: "ms, median",
    };
    plot.bars(Bars::Grouped, &names, &series)
}

/// Processor time against contracts or users.
pub fn growth(
    name: &str,
    of: &str,
    sizes: &[usize],
    costs: &[(ConnectorKind, Vec<SizeCost>)],
) -> Result<PathBuf, Error> {
    let series = costs.iter().map(|(connector, costs)| {
        let medians = costs.iter().map(|cost| cost.cost.cpu.median());
        Series::new(connector.as_str(), medians)
    });
    let series: Vec<_> = series.collect();
    let places: Vec<_> = sizes.iter().map(usize::to_string).collect();
    let title = format!("Growth with the {of}");
    let plot = Plot {
        name,
        title: &title,
        unit: "processor time of a batch in ms, median",
    };
    plot.growth(of, &places, &series)
}

/// What a million events cost, by the form of the batches.
pub fn money(costs: &[(String, Vec<(&'static str, f64)>)]) -> Result<PathBuf, Error> {
    let lines = costs.first().map(|(_, lines)| lines.iter());
    let lines = lines.into_iter().flatten();
    let lines: Vec<_> = lines.map(|(line, _)| (*line).to_owned()).collect();
    let series = costs
        .iter()
        .map(|(form, lines)| Series::new(form, lines.iter().map(|(_, price)| *price)));
    let series: Vec<_> = series.collect();
    let plot = Plot {
        name: "money",
        title: "What a million events cost",
        unit: "US dollars by list prices, with Rule, Mailmojo and Make.as, 256 MB, x86_64",
    };
    plot.bars(Bars::Grouped, &lines, &series)
}
