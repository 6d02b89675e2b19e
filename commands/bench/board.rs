//! The answers for people: a table that fits 80 columns.

use std::time::Duration;

use super::super::table::Table;
use super::super::{duration, text};
use super::baseline::Baseline;
use super::crash::Losses;
use super::latencies::Latencies;
use super::ledger::{Generator, Measured};
use super::place::Subject;
use super::plan::Plan;
use super::statistics;

/// Columns of the table.
const COLUMNS: usize = 10;
/// A row as wide as they come, which sets the widths: rows are printed as soon as they are known.
const WIDEST: [&str; COLUMNS] =
    ["scale 1000000", "1024", "1234567", "100%", "12.3ms", "12.3ms", "12.3ms", "12.3ms", "10.0", "12345"];

/// What is measured, on what.
pub fn title(subject: &Subject, plan: &Plan) -> String {
    let runs = match plan.runs {
        1 => "one run".to_owned(),
        n => format!("{n} runs"),
    };
    let replicas = if plan.replicas == 1 { String::new() } else { format!(", {} replicas", plan.replicas) };
    let (each, warm_up) = (duration::human(plan.duration), duration::human(plan.warm_up()));
    format!(
        "{} ({}){replicas}\n{runs} of {each} for each work, after a warm-up of {warm_up}\n\n",
        text::shown(&subject.url),
        text::shown(&subject.about)
    )
}

fn table() -> Table<COLUMNS> {
    let mut right = [true; COLUMNS];
    right[0] = false;
    let titles = ["WORK", "N", "OP/S", "±", "P50", "P99", "P99.9", "CPU/OP", "REQ", "ERR"];
    let mut table = Table::new(titles, right, 0);
    table.fit([WIDEST.map(str::to_owned)].iter(), None);
    table
}

/// The line of titles.
pub fn head() -> String {
    table().head()
}

/// The lines of one work: the whole, and its steps.
pub fn rows(measured: &Measured) -> String {
    let (tally, table) = (measured.tally(), table());
    let latencies = |all: &Latencies| [0.5, 0.99, 0.999].map(|share| time(all.percentile(share)));
    let [p50, p99, p999] = latencies(&tally.whole);
    let whole = [
        measured.work.clone(),
        measured.clients.to_string(),
        number(measured.rate()),
        format!("{:.0}%", 100.0 * statistics::spread(&measured.rates())),
        p50,
        p99,
        p999,
        time(Duration::from_secs_f64(measured.cpu_per_operation())),
        requests(measured),
        (tally.failed() + tally.missed).to_string(),
    ];
    let steps = measured.steps.iter().zip(&tally.steps).map(|(name, all)| {
        let ([p50, p99, p999], none) = (latencies(all), String::new);
        [format!("  {name}"), none(), none(), none(), p50, p99, p999, none(), none(), none()]
    });
    let lines: String = std::iter::once(whole).chain(steps).map(|row| table.line(&row)).collect();
    lines + &measured.losses.map_or_else(String::new, |losses| format!("  {}\n", lost(&losses)))
}

/// What was lost.
fn lost(losses: &Losses) -> String {
    let Losses { processes_killed, updates_lost, tokens_twice, two_holders } = losses;
    format!(
        "{processes_killed} killed; lost updates {updates_lost}, tokens given twice {tokens_twice}, two holders {two_holders}"
    )
}

/// Requests to the store for one operation.
pub fn requests(measured: &Measured) -> String {
    let known = measured.requests_per_operation();
    known.map_or_else(|| "?".to_owned(), |kinds| format!("{:.1}", kinds.values().sum::<f64>()))
}

/// What stands below the table.
pub fn foot(all: &[Measured]) -> String {
    let is_part = |measured: &&Measured| matches!(measured.generator, Generator::Part(_));
    let mixed = all.iter().any(|measured| is_part(&measured));
    let told = all.iter().filter(|measured| is_part(measured) || !mixed);
    let shares = told.map(|measured| 100.0 * measured.generator_share()).collect::<Vec<_>>();
    let (low, high) = statistics::range(&shares);
    let share = match (low.round(), high.round()) {
        (low, high) if low == high => format!("{high:.0}%"),
        (low, high) => format!("{low:.0}% to {high:.0}%"),
    };
    let peak = all.iter().filter_map(|measured| measured.peak_memory).max();
    let peak = peak.map_or_else(|| "unknown".to_owned(), text::size);
    match mixed {
        false => format!(
            "\npeak memory {peak} and CPU/OP are those of this process, which makes the load;\nit took {share} of the CPU time that this machine spent\n"
        ),
        true => format!("\npeak memory {peak}; the load generator's own share of the CPU time is {share}\n"),
    }
}

/// How the works stand beside a baseline.
pub fn compared(all: &[Measured], baseline: &Baseline, plan: &Plan, store: &str) -> String {
    let mut right = [true; 6];
    (right[0], right[5]) = (false, false);
    let mut table = Table::new(["WORK", "N", "OP/S", "P50", "P99", ""], right, 0);
    let change = |ratio: f64| format!("{:+.1}%", 100.0 * (ratio - 1.0));
    let row = |measured: &Measured| {
        let (work, clients) = (measured.work.clone(), measured.clients.to_string());
        match baseline.compare(measured, plan.tolerance) {
            None => [work, clients, String::new(), String::new(), String::new(), "not in the baseline".to_owned()],
            Some(found) => {
                let ratios = [found.per_second_ratio, found.p50_ratio, found.p99_ratio].map(change);
                let [rate, p50, p99] = ratios;
                [work, clients, rate, p50, p99, if found.slower { "slower".to_owned() } else { String::new() }]
            }
        }
    };
    let rows: Vec<[String; 6]> = all.iter().map(row).collect();
    table.fit(rows.iter(), None);
    let differences = baseline.differences(plan, store);
    let differences = if differences.is_empty() { String::new() } else { format!("; then {}", differences.join(", ")) };
    let (version, began) = (text::shown(&baseline.version), text::shown(&baseline.began));
    let head = format!("\ncompared with lockd {version} at {began}{}\n", text::shown(&differences));
    head + &table.head() + &rows.iter().map(|row| table.line(row)).collect::<String>()
}

/// What went wrong in a work, when anything did.
pub fn complaints(measured: &Measured) -> Vec<String> {
    let tally = measured.tally();
    let (failed, all) = (tally.failed(), tally.operations() + tally.failed());
    let mut complaints = Vec::new();
    if let (Some(first), true) = (&tally.first_error, failed > 0) {
        complaints.push(format!("{}: {failed} of {all} operations failed, the first with: {first}", measured.work));
    }
    if let Some(losses) = measured.losses.filter(Losses::any) {
        complaints.push(format!("{}: something was lost: {}", measured.work, lost(&losses)));
    }
    if tally.missed > 0 {
        let share = 100.0 * tally.missed as f64 / (all + tally.missed) as f64;
        complaints.push(format!(
            "{}: {} operations ({share:.0}%) had not begun when their run ended: the rate is higher than this many clients reach",
            measured.work, tally.missed
        ));
    }
    complaints
}

/// A duration in three digits: `812ns`, `1.23µs`, `12.3ms`, `123s`.
pub fn time(d: Duration) -> String {
    let nanos = d.as_nanos() as f64;
    let units = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    // 999.6 of one unit are shown as 1.00 of the next.
    let fits = |unit: &&(&str, f64)| nanos / unit.1 < 999.5;
    let (unit, size) = units.iter().find(fits).unwrap_or(&units[3]);
    match nanos / size {
        value if *unit == "ns" => format!("{value:.0}ns"),
        value => format!("{}{unit}", digits(value)),
    }
}

/// The same of a number of microseconds.
pub fn time_of_us(us: f64) -> String {
    time(Duration::from_secs_f64(us.max(0.0) / 1e6))
}

/// A number for people: three digits, or all before the point.
pub fn number(value: f64) -> String {
    if value < 99.95 { digits(value) } else { format!("{value:.0}") }
}

/// Three digits, or more before the point.
fn digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Run;
    use super::super::load::Tally;
    use super::super::suites::Suite;
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (nanos, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (12_340, "12.3µs"),
            (99_960, "100µs"),
            (999_499, "999µs"),
            (999_600, "1.00ms"),
            (61_000_000_000, "61.0s"),
            (7_200_000_000_000, "7200s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), text);
        }
        assert_eq!([0.0, 1.234, 99.94, 99.96, 123_456.7].map(number), ["0.00", "1.23", "99.9", "100", "123457"]);
    }

    fn measured(failed: u64, missed: u64) -> Measured {
        let mut tally = Tally { steps: vec![Latencies::default(); 2], missed, ..Tally::default() };
        for n in 1..=100 + missed {
            tally.whole.record(Duration::from_micros(10 * n));
            tally.steps[0].record(Duration::from_micros(4 * n));
            tally.steps[1].record(Duration::from_micros(6 * n));
        }
        if failed > 0 {
            tally.errors.insert("waiting", failed);
            tally.first_error = Some("k is held by another".to_owned());
        }
        let run = Run {
            elapsed: Duration::from_secs(2),
            tally,
            cpu: Duration::from_millis(20),
            machine: Some(Duration::from_millis(50)),
            requests: Some([("put", 200)].into()),
        };
        Measured {
            suite: Suite::Lease,
            work: "lease".to_owned(),
            steps: &["acquire", "release"],
            clients: 16,
            runs: vec![run],
            peak_memory: Some(5 * 1024 * 1024),
            generator: Generator::Part(Duration::from_micros(10)),
            losses: None,
        }
    }

    #[test]
    fn the_table_fits_a_terminal_of_80_columns() {
        let all = head() + &rows(&measured(0, 0));
        assert_eq!(
            all,
            "WORK              N     OP/S     ±     P50     P99   P99.9  CPU/OP   REQ    ERR\n\
             lease            16     50.0    0%   500µs   990µs  1.00ms   200µs   2.0      0\n  \
               acquire                            200µs   396µs   400µs\n  \
               release                            300µs   594µs   600µs\n"
        );
        assert!(all.lines().all(|line| line.chars().count() <= 80));
        assert!(table().line(&WIDEST.map(str::to_owned)).trim_end().chars().count() <= 80);
        assert_eq!(
            foot(&[measured(0, 0)]),
            "\npeak memory 5.0 MiB; the load generator's own share of the CPU time is 5%\n"
        );
    }

    #[test]
    fn what_went_wrong_is_said() {
        assert!(complaints(&measured(0, 0)).is_empty());
        let said = complaints(&measured(3, 50));
        assert_eq!(said[0], "lease: 3 of 103 operations failed, the first with: k is held by another");
        assert!(said[1].starts_with("lease: 50 operations (33%) had not begun"), "{}", said[1]);
        let none = Losses { processes_killed: 12, ..Losses::default() };
        let killed = |losses| Measured { losses: Some(losses), generator: Generator::Whole, ..measured(0, 0) };
        assert!(complaints(&killed(none)).is_empty());
        let last = "  12 killed; lost updates 0, tokens given twice 0, two holders 0\n";
        assert!(rows(&killed(none)).ends_with(last), "{}", rows(&killed(none)));
        let said = complaints(&killed(Losses { two_holders: 1, ..none }));
        assert_eq!(said, ["lease: something was lost: 12 killed; lost updates 0, tokens given twice 0, two holders 1"]);
        assert!(foot(&[killed(none)]).contains("peak memory 5.0 MiB and CPU/OP are those of this process"));
        assert_eq!(foot(&[killed(none), measured(0, 0)]), foot(&[measured(0, 0)]));
    }
}
