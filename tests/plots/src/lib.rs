//! Draws plots as SVG files, for `docs/performance.md`.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use charts_rs::{HorizontalBarChart, LineChart};
use serde_json::{Value, json};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the plot {name} cannot be drawn: {reason}")]
    Drawing { name: String, reason: String },
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// A figure of each category, or of each place on the x axis.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub values: Vec<f64>,
}

impl Series {
    pub fn new(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let name = name.into();
        // A thousandth says no more than the measurement does.
        let values = values.into_iter().map(|value| (value * 1e3).round() / 1e3);
        Self {
            name,
            values: values.collect(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bars {
    /// The series of a category stand below each other.
    Grouped,
    /// The series of a category add up.
    Stacked,
}

/// What the plots have in common.
#[derive(Clone, Copy, Debug)]
pub struct Plot<'a> {
    /// The file, without its ending.
    pub name: &'a str,
    pub title: &'a str,
    /// What the figures are, with their unit.
    pub unit: &'a str,
}

const WIDTH: usize = 840;

/// Of the title, the legend and the axis.
const FRAME_HEIGHT: usize = 140;

const BAR_HEIGHT: usize = 22;

impl Plot<'_> {
    /// Horizontal bars, the first category at the top.
    pub fn bars(
        &self,
        form: Bars,
        categories: &[String],
        series: &[Series],
    ) -> Result<PathBuf, Error> {
        self.write(self.draw_bars(form, categories, series))
    }

    fn draw_bars(
        &self,
        form: Bars,
        categories: &[String],
        series: &[Series],
    ) -> Result<String, Error> {
        let bars = match form {
            Bars::Grouped => series.len(),
            Bars::Stacked => 1,
        };
        let list = series.iter().map(|series| {
            let stack = (form == Bars::Stacked).then_some("all");
            // The chart draws the first one at the bottom.
            let values: Vec<_> = series.values.iter().rev().collect();
            json!({
                "name": series.name, "data": values, "stack": stack,
                "label_show": form == Bars::Grouped,
            })
        });
        let list: Vec<_> = list.collect();
        let categories: Vec<_> = categories.iter().rev().collect();
        let rows = categories.len() * (bars * BAR_HEIGHT + BAR_HEIGHT / 2);
        let own = json!({ "height": FRAME_HEIGHT + rows, "x_axis_data": categories });
        let chart = HorizontalBarChart::from_json(&self.options(own, &list));
        self.drawn(chart.and_then(|chart| chart.svg()))
    }

    /// Lines over places on the x axis. The other axis is logarithmic, so that what grows
    /// with each doubling by the same factor is a straight line.
    pub fn growth(&self, of: &str, places: &[String], series: &[Series]) -> Result<PathBuf, Error> {
        self.write(self.draw_growth(of, places, series))
    }

    fn draw_growth(&self, of: &str, places: &[String], series: &[Series]) -> Result<String, Error> {
        let list = series.iter();
        let list = list.map(|series| json!({ "name": series.name, "data": series.values }));
        let list: Vec<_> = list.collect();
        let own = json!({
            "height": 420, "x_axis_data": places, "x_axis_title": of,
            "x_boundary_gap": false, "y_axis_configs": [{ "axis_scale": "log" }],
        });
        let chart = LineChart::from_json(&self.options(own, &list));
        self.drawn(chart.and_then(|chart| chart.svg()))
    }

    fn drawn(&self, svg: Result<String, impl Display>) -> Result<String, Error> {
        svg.map_err(|reason| Error::Drawing {
            name: self.name.to_owned(),
            reason: reason.to_string(),
        })
    }

    /// The options of a chart, as JSON: its own, and those of all.
    fn options(&self, own: Value, series: &[Value]) -> String {
        let all = json!({
            "width": WIDTH, "compact": true, "font_family": "sans-serif",
            // On the right is room for the label of the longest bar.
            "margin": { "left": 16, "top": 16, "right": 40, "bottom": 16 },
            "title_text": self.title, "title_align": "left",
            "sub_title_text": self.unit, "sub_title_align": "left",
            "legend_show": series.len() > 1, "legend_position": "bottom",
            "legend_category": "rect",
            "series_list": series,
        });
        let options = [all, own].into_iter().filter_map(|options| match options {
            Value::Object(options) => Some(options),
            _ => None,
        });
        Value::Object(options.flatten().collect()).to_string()
    }

    /// Returns the path in the project.
    fn write(&self, svg: Result<String, Error>) -> Result<PathBuf, Error> {
        let svg = svg?;
        let path = Path::new("docs/plots")
            .join(self.name)
            .with_extension("svg");
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::fs::write(project.join(&path), svg + "\n").map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLOT: Plot<'_> = Plot {
        name: "test",
        title: "Times & sizes",
        unit: "ms",
    };

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn bars_have_their_categories_from_top_to_bottom_and_their_values() -> Result<(), Error> {
        let series = [
            Series::new("median", [1.2345, 20.0]),
            Series::new("longest", [3.0, 40.0]),
        ];
        for form in [Bars::Grouped, Bars::Stacked] {
            let svg = PLOT.draw_bars(form, &names(&["upper", "lower"]), &series)?;
            for text in ["Times &amp; sizes", "median", "longest", "upper", "lower"] {
                assert!(svg.contains(text), "{text} is missing in {svg}");
            }
            assert_eq!(svg.contains("40<"), form == Bars::Grouped, "{svg}");
            let y = |text: &str| {
                let element = svg.split("<text").find(|part| part.contains(text))?;
                let y = element.split(" y=\"").nth(1)?.split('"').next()?;
                y.parse::<f64>().ok()
            };
            assert!(y("upper").is_some() && y("upper") < y("lower"), "{svg}");
        }
        Ok(())
    }

    #[test]
    fn growth_has_its_places_and_a_line_for_each_series() -> Result<(), Error> {
        let series = [
            Series::new("rule", [1.0, 10.0]),
            Series::new("make", [2.0, 20.0]),
        ];
        let svg = PLOT.draw_growth("contracts", &names(&["5", "500"]), &series)?;
        for text in ["contracts", "rule", "make", ">5<", ">500<"] {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        Ok(())
    }
}
