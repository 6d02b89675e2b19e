//! What is to be measured, as it was typed.

use std::collections::BTreeSet;
use std::time::Duration;

use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::{
    BENCH_CLIENTS, BENCH_KEYS, BENCH_RATE_MAX, BENCH_REPLICAS, BENCH_RUN_MAX, BENCH_RUN_MIN, BENCH_RUNS,
    BENCH_STATE_MIN, BENCH_WARM_UP_MAX, STATE_BYTES,
};

use super::super::context::usage;
use super::super::duration;
use super::Args;
use super::load::Pace;
use super::place::Site;
use super::suites::Suite;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The suites, in their own order.
    pub suites: Vec<Suite>,
    /// Whether they were chosen.
    chosen: bool,
    /// How many clients at a time: every suite is run with each of these.
    pub clients: Vec<usize>,
    /// How many keys there are in the suite about them: it is run with each of these.
    pub keys: Vec<usize>,
    /// How many bytes states have in the suite about them: it is run with each of these.
    pub states: Vec<usize>,
    /// Engines on one store.
    pub replicas: usize,
    /// Runs of each work.
    pub runs: usize,
    /// How long each is.
    pub duration: Duration,
    /// When clients begin.
    pub pace: Pace,
    /// How much worse than the baseline a figure may be, as a share.
    pub tolerance: f64,
}

impl Plan {
    /// Reads the flags, for what is measured.
    ///
    /// # Errors
    /// `Usage` for what is malformed or out of bounds, or cannot be measured there.
    pub fn new(args: &Args, site: &Site) -> Result<Self> {
        let replicas = number("--replicas", &args.replicas, BENCH_REPLICAS)?;
        if matches!(site, Site::Servers(_)) && replicas > 1 {
            return Err(usage("--replicas", "servers are as many as --server names"));
        }
        let duration = duration::parse(&args.duration).map_err(|why| usage("--duration", &why))?;
        if !(BENCH_RUN_MIN..=BENCH_RUN_MAX).contains(&duration) {
            return Err(usage("--duration", "a run may take 10ms to 24h"));
        }
        Ok(Self {
            suites: suites(&args.suites, site)?,
            chosen: !args.suites.is_empty(),
            clients: numbers("--clients", &args.clients, BENCH_CLIENTS)?,
            keys: numbers("--keys", &args.keys, BENCH_KEYS)?,
            states: sizes(&args.states)?,
            replicas,
            runs: number("--runs", &args.runs, BENCH_RUNS)?,
            duration,
            pace: args.rate.as_deref().map_or(Ok(Pace::Closed), pace)?,
            tolerance: tolerance(&args.tolerance)?,
        })
    }

    /// How long the clients work before the first run counts: stores, caches and processors are cold at first.
    pub fn warm_up(&self) -> Duration {
        (self.duration / 2).min(BENCH_WARM_UP_MAX)
    }

    /// Suites that nobody chose, and why they cannot be run.
    pub fn left_out(&self, site: &Site) -> Vec<(Suite, &'static str)> {
        match self.chosen {
            true => Vec::new(),
            false => Suite::ALL.into_iter().filter_map(|suite| Some((suite, site.refuses(suite)?))).collect(),
        }
    }

    /// The most clients that there are at a time.
    pub fn most_clients(&self) -> usize {
        self.clients.last().copied().unwrap_or(1)
    }

    /// Rough length of all that is planned, for the bar: without set-up, and as if no operation took long.
    pub fn length(&self, works: usize) -> Duration {
        let once = self.duration * u32::try_from(self.runs).unwrap_or(u32::MAX) + self.warm_up();
        once * u32::try_from(works).unwrap_or(u32::MAX)
    }
}

/// The suites that were typed, in their own order and once; without any all that can be run.
fn suites(typed: &[Suite], site: &Site) -> Result<Vec<Suite>> {
    if typed.is_empty() {
        return Ok(Suite::ALL.into_iter().filter(|suite| site.refuses(*suite).is_none()).collect());
    }
    match typed.iter().find_map(|suite| Some((suite.name(), site.refuses(*suite)?))) {
        Some((name, why)) => Err(Error::new(ErrorKind::Usage, format!("{name} cannot be run here: {why}"))
            .with_hint("leave it out, or name another place with --store or --server")),
        None => Ok(Suite::ALL.into_iter().filter(|suite| typed.contains(suite)).collect()),
    }
}

/// Several sizes, each once and in order.
fn sizes(texts: &[String]) -> Result<Vec<usize>> {
    let all: BTreeSet<usize> = texts.iter().map(|text| size(text)).collect::<Result<_>>()?;
    Ok(all.into_iter().collect())
}

fn size(text: &str) -> Result<usize> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    let bytes = unit.and_then(|unit| digits.parse::<usize>().ok()?.checked_mul(unit));
    let allowed = BENCH_STATE_MIN..=usize::try_from(STATE_BYTES).unwrap_or(usize::MAX);
    let wrong = || usage("--states", &format!("{text:?} is not a size from 64 to 100MiB, such as 1KiB"));
    bytes.filter(|bytes| allowed.contains(bytes)).ok_or_else(wrong)
}

/// Several numbers, each once and in order.
fn numbers(flag: &str, texts: &[String], most: u32) -> Result<Vec<usize>> {
    let all: BTreeSet<usize> = texts.iter().map(|text| number(flag, text, most)).collect::<Result<_>>()?;
    Ok(all.into_iter().collect())
}

fn number(flag: &str, text: &str, most: u32) -> Result<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse::<u32>().ok()).flatten().filter(|n| (1..=most).contains(n));
    let wrong = || usage(flag, &format!("{text:?} is not a number from 1 to {most}"));
    number.and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong)
}

fn pace(text: &str) -> Result<Pace> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let rate = plain.then(|| text.parse::<f64>().ok()).flatten();
    let rate = rate.filter(|rate| (0.001..=BENCH_RATE_MAX).contains(rate));
    let wrong = || usage("--rate", &format!("{text:?} is not a number of operations a second, 0.001 to 1000000"));
    rate.map(Pace::Open).ok_or_else(wrong)
}

/// A percentage as a share.
fn tolerance(text: &str) -> Result<f64> {
    let digits = text.strip_suffix('%').unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let percent = plain.then(|| digits.parse::<f64>().ok()).flatten().filter(|percent| (0.0..100.0).contains(percent));
    let wrong = || usage("--tolerance", &format!("{text:?} is not a percentage below 100, such as 10%"));
    percent.map(|percent| percent / 100.0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockd::store::open::StoreUrl;

    fn disk() -> Site {
        Site::Store(StoreUrl::parse("disk:///a").unwrap())
    }

    fn servers() -> Site {
        Site::Servers(vec![])
    }

    fn args() -> Args {
        Args {
            worker: false,
            suites: vec![],
            clients: vec!["16".to_owned()],
            keys: vec!["1000".to_owned()],
            states: vec!["5MiB".to_owned(), "1KiB".to_owned()],
            replicas: "1".to_owned(),
            runs: "5".to_owned(),
            duration: "2s".to_owned(),
            rate: None,
            baseline: None,
            report: None,
            tolerance: "10%".to_owned(),
        }
    }

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        assert_eq!(Plan::new(&args(), &disk()).unwrap().states, [1_024, 5 << 20]);
        for (text, bytes) in [("64", 64), ("100B", 100), ("16KiB", 16_384), ("100MiB", 100 << 20)] {
            assert_eq!(size(text).unwrap(), bytes);
        }
        for text in ["", "KiB", "63", "101MiB", "1k", "1 KiB", "-1", "1.5KiB", "99999999999999999999MiB"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_tolerance_is_a_percentage() {
        for (text, share) in [("10%", 0.1), ("2.5", 0.025), ("0", 0.0)] {
            assert!((tolerance(text).unwrap() - share).abs() < 1e-12, "{text}");
        }
        for text in ["", "%", "100", "-1", "ten", "1e1", "NaN"] {
            assert!(tolerance(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn suites_run_in_their_own_order_and_once() {
        assert_eq!(Plan::new(&args(), &disk()).unwrap().suites, Suite::ALL);
        let typed = Args { suites: vec![Suite::Raw, Suite::Lease, Suite::Raw], ..args() };
        assert_eq!(Plan::new(&typed, &disk()).unwrap().suites, [Suite::Lease, Suite::Raw]);
        let typed = Args { clients: ["64", "1", "64"].map(str::to_owned).to_vec(), ..args() };
        assert_eq!(Plan::new(&typed, &disk()).unwrap().clients, [1, 64]);
    }

    #[test]
    fn what_cannot_be_run_is_left_out_or_refused() {
        let memory = Site::Store(StoreUrl::Memory);
        for (site, out) in [(servers(), Suite::Raw), (memory, Suite::Crash)] {
            let all = Plan::new(&args(), &site).unwrap();
            assert!(all.suites.len() == Suite::ALL.len() - 1 && !all.suites.contains(&out));
            let left_out: Vec<Suite> = all.left_out(&site).into_iter().map(|(suite, _)| suite).collect();
            assert_eq!(left_out, [out]);
            let chosen = Args { suites: vec![Suite::Lease, out], ..args() };
            let error = Plan::new(&chosen, &site).unwrap_err();
            assert!(error.message().contains(out.name()) && error.message().contains("cannot be run here"), "{error}");
            assert!(Plan::new(&chosen, &disk()).unwrap().left_out(&site).is_empty());
        }
        for wrong in
            [Args { suites: vec![Suite::Lease, Suite::Raw], ..args() }, Args { replicas: "2".into(), ..args() }]
        {
            assert!(Plan::new(&wrong, &servers()).is_err() && Plan::new(&wrong, &disk()).is_ok());
        }
    }

    #[test]
    fn a_rate_is_a_number_of_operations_a_second() {
        for (text, rate) in [("1000", 1_000.0), ("0.5", 0.5), ("1000000", 1e6)] {
            assert_eq!(pace(text).unwrap(), Pace::Open(rate));
        }
        for text in ["", "0", "-1", "1e3", "1,000", "inf", "NaN", "1000001", "fast", "."] {
            assert!(pace(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_warm_up_is_half_a_run_and_two_seconds_at_most() {
        let plan = |duration: &str| Plan::new(&Args { duration: duration.to_owned(), ..args() }, &disk());
        assert_eq!(plan("2s").unwrap().warm_up(), Duration::from_secs(1));
        assert_eq!(plan("1m").unwrap().warm_up(), BENCH_WARM_UP_MAX);
        assert_eq!(plan("2s").unwrap().length(3), Duration::from_secs(33));
        assert!(plan("9ms").is_err() && plan("25h").is_err() && plan("soon").is_err());
    }
}
