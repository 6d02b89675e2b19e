//! The works one after the other, and what is said of them.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either as First, select};
use lockd::clock::UnixMillis;
use lockd::error::Result;

use super::super::context::Context;
use super::super::interrupt::{self, Either};
use super::super::output::{self, Format};
use super::baseline::Baseline;
use super::document::Document;
use super::ledger::{Generator, Ledger, Measured};
use super::load::{Laps, Load, Sheet, Work, drive};
use super::meter::Meter;
use super::place::{Counts, Place};
use super::plan::Plan;
use super::report::Report;
use super::suites::{Named, Suite};
use super::{board, generator, memory};

/// What an operation that failed makes of the exit code, or a work that is slower than it was.
const FAILED: u8 = 1;

/// How the answers are given.
pub struct Answers {
    format: Format,
    baseline: Option<Baseline>,
    report: Option<Report>,
}

impl Answers {
    /// The file of a report is opened now, so that nothing is measured in vain.
    ///
    /// # Errors
    /// When there is no such format, or the file cannot be made.
    pub fn new(context: &Context, baseline: Option<Baseline>, report: Option<&Path>) -> Result<Self> {
        Ok(Self { format: context.format()?, baseline, report: report.map(Report::create).transpose()? })
    }
}

/// A measurement under way.
pub struct Measurement<'a> {
    context: &'a Context,
    plan: &'a Plan,
    answers: Answers,
    place: &'a Place,
    ledger: Ledger,
    meter: Meter,
}

impl<'a> Measurement<'a> {
    /// Nothing has begun yet.
    pub fn new(context: &'a Context, plan: &'a Plan, answers: Answers, place: &'a Place) -> Self {
        let works = plan.suites.iter().map(|suite| suite.count(plan)).sum::<usize>() * plan.clients.len();
        let ledger = Ledger::new(Arc::clone(&context.clock));
        Self { context, plan, answers, place, ledger, meter: Meter::new(context, plan.length(works)) }
    }

    /// Measures until all is done or a signal comes, and prints what there is.
    ///
    /// # Errors
    /// When a work does not work at all, or the answers cannot be written.
    pub async fn run(mut self) -> Result<u8> {
        let began = self.context.clock.wall();
        if cfg!(debug_assertions) {
            self.context.voice.note("this build of lockd is not optimized: its figures say little");
        }
        self.print(|| board::title(&self.place.subject, self.plan) + &board::head())?;
        let work = async {
            match select(pin!(self.suites()), pin!(self.meter.ticks(&*self.context.clock))).await {
                First::Left((done, _)) => done,
                First::Right((never, _)) => match never {},
            }
        };
        let ended = interrupt::or_signal(work).await?;
        // Of an error, too, what came before it is worth having.
        self.close()?;
        let all = self.ledger.done();
        let signal = match ended {
            Either::Done(done) => done.map(|()| None)?,
            Either::Signal(signal) => Some(signal),
        };
        self.conclude(began, signal.is_some(), &all)?;
        let failed = all.iter().any(|measured| is_bad(measured) || self.is_slower(measured));
        Ok(signal.map_or(if failed { FAILED } else { 0 }, interrupt::exit_code))
    }

    /// Prints what all of it comes to, and writes the report.
    fn conclude(&mut self, began: UnixMillis, interrupted: bool, all: &[Measured]) -> Result<()> {
        let subject = &self.place.subject;
        let mut document = Document::new(subject, self.plan, began, interrupted, all);
        if let Some(baseline) = &self.answers.baseline {
            document = document.beside(baseline, self.plan.tolerance, all);
        }
        if let Some(report) = self.answers.report.take() {
            report.write(&document, all)?;
        }
        if self.answers.format != Format::Text {
            return self.meter.aside(|| output::print(output::document(self.answers.format, &document)?));
        }
        if all.is_empty() {
            return Ok(());
        }
        let compared = |baseline| board::compared(all, baseline, self.plan, &subject.url);
        self.print(|| board::foot(all) + &self.answers.baseline.as_ref().map(compared).unwrap_or_default())
    }

    fn is_slower(&self, measured: &Measured) -> bool {
        let found = self.answers.baseline.as_ref().and_then(|baseline| baseline.compare(measured, self.plan.tolerance));
        found.is_some_and(|found| found.slower)
    }

    async fn suites(&self) -> Result<()> {
        for clients in &self.plan.clients {
            let part = Generator::Part(generator::cost(*clients, &self.context.clock).await?);
            for suite in &self.plan.suites {
                for Named { name, work } in suite.works(self.place, self.plan, *clients)? {
                    let measured = Measured {
                        suite: *suite,
                        work: name,
                        steps: work.steps(),
                        clients: *clients,
                        runs: Vec::new(),
                        peak_memory: None,
                        generator: if self.is_work_of_others(*suite) { Generator::Whole } else { part },
                        losses: None,
                    };
                    self.measure(measured, &work).await?;
                }
            }
        }
        Ok(())
    }

    async fn measure(&self, measured: Measured, work: &Arc<dyn Work>) -> Result<()> {
        let (plan, clock, name) = (self.plan, &self.context.clock, measured.work.clone());
        let suite = measured.suite;
        let load = Load { clients: measured.clients, pace: plan.pace, duration: plan.duration };
        self.meter.say(format!("{name}, set-up"));
        work.prepare().await.map_err(|e| e.context(&name))?;
        self.meter.say(format!("{name}, warm-up"));
        // What does not work at all is an error, and not a figure.
        work.once(0, &mut Laps::start(&**clock)).await.map_err(|e| e.context(&name))?;
        drive(work, Load { duration: plan.warm_up(), ..load }, clock, &Arc::new(Sheet::default())).await?;
        memory::forget_peak();
        self.ledger.begin(measured);
        for run in 1..=plan.runs {
            self.meter.say(format!("{name}, run {run} of {}", plan.runs));
            let sheet = self.ledger.begin_run(self.requests(suite).await);
            drive(work, load, clock, &sheet).await?;
            // What is counted elsewhere takes a moment that is none of the run's.
            self.ledger.end_run(self.requests(suite).await);
        }
        self.ledger.conclude(work.conclude().await.map_err(|e| e.context(&name))?);
        self.close()
    }

    /// Whether servers or other processes do the work, and this one only makes the load.
    fn is_work_of_others(&self, suite: Suite) -> bool {
        !self.place.has_store() || suite.is_in_processes()
    }

    /// Requests to the store until now. What processes ask that are killed is known to servers alone.
    async fn requests(&self, suite: Suite) -> Option<Counts> {
        match self.place.has_store() && suite.is_in_processes() {
            true => None,
            false => self.place.requests.counted().await,
        }
    }

    /// Closes the present work, also one that was broken off, and prints what it came to.
    fn close(&self) -> Result<()> {
        let Some(measured) = self.ledger.end(memory::peak(), self.place.requests.at_once()) else { return Ok(()) };
        self.print(|| board::rows(&measured))?;
        self.meter.aside(|| board::complaints(&measured).iter().for_each(|line| self.context.voice.warn(line)));
        Ok(())
    }

    /// Prints for people, when they are asked for.
    fn print(&self, text: impl FnOnce() -> String) -> Result<()> {
        match self.answers.format {
            Format::Text => self.meter.aside(|| output::print(text())),
            Format::Json | Format::Yaml => Ok(()),
        }
    }
}

/// Whether operations failed, or something was lost.
fn is_bad(measured: &Measured) -> bool {
    measured.tally().failed() > 0 || measured.losses.is_some_and(|losses| losses.any())
}
