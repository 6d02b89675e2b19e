//! Where the answers go: a line for each as it comes, a spinner below it when it takes long, and the sum of it all.

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockd::clock::{BootTime, Clock};
use lockd::error::Result;
use lockd::store::conformance::speed::Speed;
use lockd::store::conformance::{Outcome, Report};
use serde::Serialize;

use super::super::context::Context;
use super::super::output::{self, Format};
use super::super::page::{Color, wrapped};
use super::super::{table, text};

/// Shorter work shows no spinner.
const SILENCE: Duration = Duration::from_secs(2);
/// How often it moves.
const TICK: Duration = Duration::from_millis(100);
/// Where what was seen begins.
const INDENT: usize = 24;
/// On a narrower terminal nothing is wrapped further.
const NARROWEST: usize = 50;

/// What is shown of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// All, in this format.
    As(Format),
    /// None: whoever asked looks at them afterwards.
    Nothing,
}

/// The answers so far.
pub struct Board {
    show: Show,
    url: String,
    screen: Option<usize>,
    paints: bool,
    spins: bool,
    clock: Arc<dyn Clock>,
    began: BootTime,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    reports: Vec<Report>,
    unwritten: Option<std::io::Error>,
    doing: String,
    bar: Option<ProgressBar>,
    speed: Option<Figures>,
}

#[derive(Serialize)]
struct Body<'a> {
    store: &'a str,
    ok: bool,
    checks: Vec<Check<'a>>,
    summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<&'a Figures>,
    took_ms: u64,
}

#[derive(Serialize)]
struct Check<'a> {
    id: &'a str,
    outcome: &'a str,
    /// The clause of a store's contract.
    #[serde(skip_serializing_if = "str::is_empty")]
    clause: &'a str,
    saw: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary {
    ok: usize,
    warn: usize,
    fail: usize,
}

#[derive(Clone, Serialize)]
struct Figures {
    write_us: u64,
    slowest_write_us: u64,
    read_us: u64,
    shortest_ttl_ms: Option<u64>,
}

impl Board {
    /// An empty one.
    pub fn new(context: &Context, show: Show, url: &str) -> Self {
        let clock = Arc::clone(&context.clock);
        Self {
            show,
            url: url.to_owned(),
            screen: table::screen(),
            paints: context.paints(),
            spins: context.is_watched() && !context.voice.quiet && show == Show::As(Format::Text),
            began: clock.boot(),
            clock,
            state: RefCell::default(),
        }
    }

    /// Says what is going on now.
    pub fn doing(&self, what: &str) {
        let mut state = self.state.borrow_mut();
        what.clone_into(&mut state.doing);
        if let Some(bar) = &state.bar {
            bar.set_message(state.doing.clone());
        }
    }

    /// An answer.
    pub fn add(&self, report: Report) {
        let mut state = self.state.borrow_mut();
        if self.show == Show::As(Format::Text) && state.unwritten.is_none() {
            let lines = self.lines(&report);
            let written = match &state.bar {
                Some(bar) => bar.suspend(|| output::write(&lines)),
                None => output::write(&lines),
            };
            state.unwritten = written.err();
        }
        state.reports.push(report);
    }

    /// The figures of the store.
    pub fn measured(&self, speed: &Speed, shortest: Option<Duration>) {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let figures = Figures {
            write_us: micros(speed.write()),
            slowest_write_us: micros(speed.slowest_write()),
            read_us: micros(speed.read()),
            shortest_ttl_ms: shortest.map(|ttl| micros(ttl) / 1_000),
        };
        self.state.borrow_mut().speed = Some(figures);
    }

    /// All that were given so far.
    pub fn reports(&self) -> Vec<Report> {
        self.state.borrow().reports.clone()
    }

    /// Whether a check failed so far.
    pub fn has_failed(&self) -> bool {
        self.state.borrow().reports.iter().any(|report| report.outcome == Outcome::Fail)
    }

    /// Moves the spinner, for as long as it is polled.
    pub async fn ticks(&self, clock: &dyn Clock) -> Infallible {
        if !self.spins {
            return std::future::pending().await;
        }
        clock.sleep(SILENCE).await;
        loop {
            {
                let mut state = self.state.borrow_mut();
                let doing = state.doing.clone();
                state.bar.get_or_insert_with(|| spinner(doing)).tick();
            }
            clock.sleep(TICK).await;
        }
    }

    /// Takes the spinner away.
    pub fn quiet(&self) {
        if let Some(bar) = self.state.borrow_mut().bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Prints what is left to print. Whether a check failed.
    ///
    /// # Errors
    /// When standard output takes nothing.
    pub fn finish(&self) -> Result<bool> {
        let failed = self.has_failed();
        let mut state = self.state.borrow_mut();
        if let Some(e) = state.unwritten.take() {
            output::settle(Err(e))?;
            return Ok(failed);
        }
        let summary = Summary {
            ok: state.reports.iter().filter(|report| report.outcome == Outcome::Ok).count(),
            warn: state.reports.iter().filter(|report| report.outcome == Outcome::Warn).count(),
            fail: state.reports.iter().filter(|report| report.outcome == Outcome::Fail).count(),
        };
        let took = self.clock.boot().since(self.began);
        let format = match self.show {
            Show::Nothing => return Ok(failed),
            Show::As(Format::Text) => {
                output::print(self.sum(&summary, took))?;
                return Ok(failed);
            }
            Show::As(format) => format,
        };
        let body = Body {
            store: &self.url,
            ok: !failed,
            checks: state.reports.iter().map(check).collect(),
            summary,
            speed: state.speed.as_ref(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        output::print(output::document(format, &body)?)?;
        Ok(failed)
    }

    /// The lines of one answer: on a terminal as wide as that is, elsewhere one.
    fn lines(&self, report: &Report) -> String {
        let (word, color) = match report.outcome {
            Outcome::Ok => ("ok", Color::Green),
            Outcome::Warn => ("WARN", Color::Yellow),
            Outcome::Fail => ("FAIL", Color::Red),
        };
        let word = color.painted(&format!("{word:<4}"), self.paints);
        let saw = text::shown(&report.saw);
        let advice = report.advice.as_deref().map(text::shown);
        let Some(screen) = self.screen else {
            let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
            return format!("{word}  {:<16}  {saw}{advice}\n", report.id);
        };
        let room = Some(screen.max(NARROWEST) - INDENT);
        let mut out = String::new();
        for (i, line) in wrapped(&saw, room).iter().enumerate() {
            match i {
                0 => out.push_str(&format!("{word}  {:<16}  {line}\n", report.id)),
                _ => out.push_str(&format!("{:INDENT$}{line}\n", "")),
            }
        }
        for (i, line) in advice.iter().flat_map(|advice| wrapped(advice, room.map(|room| room - 3))).enumerate() {
            let arrow = if i == 0 { "-> " } else { "   " };
            out.push_str(&format!("{:INDENT$}{arrow}{line}\n", ""));
        }
        out
    }

    fn sum(&self, summary: &Summary, took: Duration) -> String {
        let (verdict, color) = match summary.fail {
            0 => ("it can hold locks", Color::Green),
            _ => ("do not keep locks in it", Color::Red),
        };
        let verdict = color.painted(verdict, self.paints);
        let took = format!("{}.{} s", took.as_secs(), took.subsec_millis() / 100);
        let Summary { ok, warn, fail } = summary;
        let url = text::shown(&self.url);
        format!("\n{url}: {verdict}\n{ok} ok, {warn} to look at, {fail} failed, in {took}\n")
    }
}

fn check(report: &Report) -> Check<'_> {
    let outcome = match report.outcome {
        Outcome::Ok => "ok",
        Outcome::Warn => "warn",
        Outcome::Fail => "fail",
    };
    Check { id: report.id, outcome, clause: report.clause, saw: &report.saw, advice: report.advice.as_deref() }
}

fn spinner(doing: String) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(doing);
    match ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
