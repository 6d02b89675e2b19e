//! The answers as one page that needs nothing else: a table, latency distributions, operations a second. It reads well in light and
//! dark, narrow and wide, and without scripts.

mod plot;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lockd::error::{Error, ErrorKind, Result};

use super::super::output::{self, Format};
use super::super::text;
use super::super::whole_file::WholeFile;
use super::board::{number, time_of_us};
use super::document::Document;
use super::latencies::Latencies;
use super::ledger::Measured;
use super::{board, statistics};
use plot::{Axis, Plot, key};

/// Shares of all operations at which a distribution is drawn.
const SHARES: [f64; 17] =
    [0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99999];
/// Those that are marked on the axis.
const MARKED: [(f64, &str); 5] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];

/// A page to be written: the file appears when it is whole.
pub struct Report {
    path: PathBuf,
    target: WholeFile,
    file: File,
}

impl Report {
    /// Opens the file.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| {
            let error = Error::io(format_args!("--report: create {}", path.display()), &e);
            if error.kind() == ErrorKind::Io { error.with_kind(ErrorKind::CannotCreate) } else { error }
        };
        let (target, file) = WholeFile::create(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), target, file })
    }

    /// Writes the page.
    ///
    /// # Errors
    /// Why it is not there now.
    pub fn write(mut self, document: &Document, all: &[Measured]) -> Result<()> {
        let json = output::document(Format::Json, document)?;
        let pretty =
            serde_json::from_str::<serde_json::Value>(&json).and_then(|all| serde_json::to_string_pretty(&all));
        let page = page(document, &pretty.unwrap_or(json), all);
        let failed = |e: std::io::Error| Error::io(format_args!("write {}", self.path.display()), &e);
        self.file.write_all(page.as_bytes()).map_err(failed)?;
        self.target.finish().map_err(failed)
    }
}

/// The page.
fn page(document: &Document, json: &str, all: &[Measured]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>lockd bench: {store}</title>\n<style>\n{style}</style>\n</head>\n<body>\n\
         <h1>lockd bench</h1>\n<p>{title}</p>\n",
        store = escaped(&document.store),
        style = include_str!("style.css"),
        title = title(document),
    );
    // Writing to a String does not fail.
    let _ok = writeln!(page, "{}", complaints(document, all));
    page += &table(all);
    page += "<h2>How long operations took</h2>\n<p class=\"faint\">So many of all operations took no longer. Both axes are logarithmic: each \
             step to the right has a tenth of the operations beyond it.</p>\n<div class=\"cards\">\n";
    page.extend(all.iter().map(distribution));
    page += "</div>\n<h2>Operations a second</h2>\n<p class=\"faint\">Run by run; the dashed line is the median.</p>\n<div class=\"cards\">\n";
    page.extend(all.iter().map(runs));
    page += "</div>\n";
    page += &by_clients(all);
    let _ok = write!(
        page,
        "<details><summary>All figures as JSON</summary>\n<pre>{}</pre>\n</details>\n</body>\n</html>\n",
        escaped(json)
    );
    page
}

fn title(document: &Document) -> String {
    let pace = document.rate.map_or_else(String::new, |rate| format!(" {rate} operations were due a second."));
    let replicas = match document.replicas {
        1 => String::new(),
        n => format!(" through {n} engines"),
    };
    let plural = |n: usize, what: &str| if n == 1 { format!("one {what}") } else { format!("{n} {what}s") };
    format!(
        "<strong>{}</strong> ({}){replicas}, lockd {} on {}.<br><span class=\"faint\">{}: {} of {} for each work, after a warm-up of \
         {}.{pace}</span>",
        escaped(&text::shown(&document.store)),
        escaped(&text::shown(&document.about)),
        document.version,
        plural(document.processors, "processor"),
        document.began,
        plural(document.runs, "run"),
        time_of_us(document.duration_ms as f64 * 1e3),
        time_of_us(document.warm_up_ms as f64 * 1e3),
    )
}

fn complaints(document: &Document, all: &[Measured]) -> String {
    let interrupted = "It was interrupted: works may be missing, and the last run is short.".to_owned();
    let all = all.iter().flat_map(board::complaints).chain(document.interrupted.then_some(interrupted));
    all.map(|line| format!("<p class=\"bad\">{}</p>\n", escaped(&text::shown(&line)))).collect()
}

/// The name of a work and the number of its clients.
fn name(measured: &Measured) -> String {
    let clients = if measured.clients == 1 { "client" } else { "clients" };
    format!("{}, {} {clients}", measured.work, measured.clients)
}

fn table(all: &[Measured]) -> String {
    let mut out = String::from(
        "<div class=\"wide\">\n<table>\n<thead><tr><th>work</th><th>clients</th><th>op/s</th><th>±</th><th>p50</th><th>p90</th><th>p99</th>\
         <th>p99.9</th><th>max</th><th>CPU/op</th><th>generator</th><th>requests/op</th><th>memory</th><th>failed</th></tr></thead>\n<tbody>\n",
    );
    for measured in all {
        let tally = measured.tally();
        let before = [
            measured.clients.to_string(),
            number(measured.rate()),
            format!("{:.0} %", 100.0 * statistics::spread(&measured.rates())),
        ];
        let after = [
            time_of_us(measured.cpu_per_operation() * 1e6),
            format!("{:.0} %", 100.0 * measured.generator_share()),
            board::requests(measured),
            measured.peak_memory.map_or_else(String::new, text::size),
            (tally.failed() + tally.missed).to_string(),
        ];
        out += &row("", &measured.work, &[&before[..], &latencies(&tally.whole)[..], &after[..]].concat());
        for (step, took) in measured.steps.iter().zip(&tally.steps) {
            let (before, after) = ([const { String::new() }; 3], [const { String::new() }; 5]);
            out += &row(" class=\"step\"", step, &[&before[..], &latencies(took)[..], &after[..]].concat());
        }
    }
    out + "</tbody>\n</table>\n</div>\n"
}

fn latencies(all: &Latencies) -> [String; 5] {
    let figures = all.summary();
    [figures.p50, figures.p90, figures.p99, figures.p999, figures.max].map(time_of_us)
}

fn row(class: &str, first: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
    format!("<tr{class}><td>{}</td>{cells}</tr>\n", escaped(first))
}

fn card(title: &str, plot: &str, words: &str) -> String {
    format!("<div class=\"card\">\n<h3>{}</h3>\n{plot}<p class=\"faint\">{words}</p>\n</div>\n", escaped(title))
}

/// Where a share stands on the axis: the nines that it has.
fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

/// The shares of so many operations that at least one operation lies beyond.
fn shares(count: u64) -> impl Iterator<Item = f64> {
    SHARES.into_iter().filter(move |share| (1.0 - share) * count as f64 >= 1.0 - 1e-9)
}

fn distribution(measured: &Measured) -> String {
    let tally = measured.tally();
    let mut lines = vec![("all of it", &tally.whole)];
    lines.extend(measured.steps.iter().copied().zip(&tally.steps));
    lines.retain(|(_, all)| all.count() > 0);
    let ends = lines.iter().map(|(_, all)| all.summary()).map(|figures| (figures.min.max(1e-3), figures.max.max(1e-3)));
    let (low, high) = ends.fold((f64::MAX, 0.0_f64), |(low, high), (min, max)| (low.min(min), high.max(max)));
    if lines.is_empty() {
        return card(&name(measured), "", "no operation succeeded");
    }
    let last = shares(tally.whole.count()).last().unwrap_or(0.0).max(0.9);
    // Where the nines are many, there is no room for both of the first marks. The last one is where the axis ends.
    let first = if last < 0.999 { "min" } else { "" };
    let mut marks: Vec<(f64, String)> = vec![(0.0, first.to_owned()), (nines(last), String::new())];
    let marked = MARKED.iter().filter(|(share, _)| *share <= last);
    marks.extend(marked.map(|(share, mark)| (nines(*share), (*mark).to_owned())));
    let about = format!("Latency distribution of {}", name(measured));
    let mut plot = Plot::new(&about, Axis::new(marks), Axis::decades(low, high, time_of_us));
    for (stroke, (step, all)) in lines.iter().enumerate() {
        let point = |share: f64| {
            let us = (all.percentile(share).as_secs_f64() * 1e6).max(1e-3);
            (nines(share), us.log10(), format!("{step}: {}% in {}", trimmed(100.0 * share), time_of_us(us)))
        };
        let within = shares(all.count()).filter(|share| *share <= last);
        plot.line(stroke, &within.map(point).collect::<Vec<_>>());
    }
    let keys: String = lines.iter().enumerate().map(|(stroke, (step, _))| key(stroke, step)).collect();
    let max = time_of_us(tally.whole.summary().max);
    card(&name(measured), &plot.finish(), &format!("{keys}<span class=\"key\">longest {max}</span>"))
}

/// A percentage without zeroes at its end.
fn trimmed(percent: f64) -> String {
    let text = format!("{percent:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn runs(measured: &Measured) -> String {
    let rates = measured.rates();
    let (_, most) = statistics::range(&rates);
    let few = rates.len().div_ceil(10);
    let ticks = (1..=rates.len()).filter(|run| (run - 1) % few == 0).map(|run| (run as f64, run.to_string()));
    // Half a run of room at both ends.
    let ends = [(0.5, String::new()), (rates.len() as f64 + 0.5, String::new())];
    let x = Axis::new(ticks.chain(ends).collect());
    let about = format!("Operations a second of {}, run by run", name(measured));
    let mut plot = Plot::new(&about, x, Axis::from_zero(most, number));
    for (run, rate) in rates.iter().enumerate() {
        plot.bar((run + 1) as f64, 0.6, *rate, &format!("run {}: {} a second", run + 1, number(*rate)));
    }
    plot.middle(measured.rate());
    let spread = 100.0 * statistics::spread(&rates);
    card(&name(measured), &plot.finish(), &format!("median {} a second, ± {spread:.0} %", number(measured.rate())))
}

/// Operations a second as clients grow, of each work that was measured with several numbers of them.
fn by_clients(all: &[Measured]) -> String {
    let mut works: Vec<&str> = Vec::new();
    for measured in all {
        if !works.contains(&measured.work.as_str()) {
            works.push(&measured.work);
        }
    }
    let cards: String = works.iter().filter_map(|work| growth(work, all)).collect();
    if cards.is_empty() {
        return cards;
    }
    format!(
        "<h2>As clients grow</h2>\n<p class=\"faint\">Median operations a second.</p>\n<div class=\"cards\">\n{cards}</div>\n"
    )
}

fn growth(work: &str, all: &[Measured]) -> Option<String> {
    let same: Vec<&Measured> = all.iter().filter(|measured| measured.work == work).collect();
    if same.len() < 2 {
        return None;
    }
    let place = |measured: &Measured| (measured.clients as f64).log2();
    let x = Axis::new(same.iter().map(|measured| (place(measured), measured.clients.to_string())).collect());
    let (_, most) = statistics::range(&same.iter().map(|measured| measured.rate()).collect::<Vec<_>>());
    let mut plot = Plot::new(&format!("{work} as clients grow"), x, Axis::from_zero(most, number));
    let point = |measured: &&Measured| {
        let rate = measured.rate();
        (place(measured), rate, format!("{}: {} a second", name(measured), number(rate)))
    };
    plot.line(0, &same.iter().map(point).collect::<Vec<_>>());
    Some(card(work, &plot.finish(), "clients to the right, doubling; operations a second upwards"))
}

/// Text inside HTML, also in an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_ends_where_there_are_operations() {
        assert_eq!(shares(0).count(), 0);
        assert_eq!(shares(1).collect::<Vec<_>>(), [0.0]);
        assert_eq!(shares(100).last(), Some(0.99));
        assert_eq!(shares(1_000_000).last(), Some(0.99999));
        assert_eq!((nines(0.0), nines(0.99).round()), (0.0, 2.0));
        assert_eq!([50.0, 99.99, 0.0].map(trimmed), ["50", "99.99", "0"]);
    }

    #[test]
    fn nothing_from_elsewhere_is_markup() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
