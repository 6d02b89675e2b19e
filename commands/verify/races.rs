//! Races between processes on one host, judged by what each of them saw.

use lockd::store::conformance::round::{head, part, verdict};
use lockd::store::conformance::{Flaw, NOT_A_STORE, Report, Scratch, race};
use lockd::store::disk::names::{Act, Saw, all_see, one_maker};
use lockd::store::{Precondition, Store};

use super::crew::{Crew, strange};
use super::job::Job;
use super::worker::{NAMESPACE, Order, Reply};

type Seen = Result<String, Flaw>;

/// Runs them all.
pub async fn run(job: &Job<'_>, store: &Store, crew: &mut Crew<'_>) {
    let scratch = Scratch::shared(store, &*job.context.clock, &*job.context.entropy, NAMESPACE);
    let rounds = job.plan.size.rounds;
    let add = |id, seen| job.board.add(Report::from_seen(id, seen, NOT_A_STORE).of("R2"));
    if job.directory().is_some() {
        job.board.doing("several processes make and link names");
        add("names", names(crew, rounds, Act::Create).await);
        add("links", names(crew, rounds, Act::Link).await);
    }
    job.board.doing("several processes race to create");
    add("process-creates", creates(&scratch, crew, rounds).await);
    job.board.doing("several processes race to swap");
    add("process-swaps", swaps(&scratch, crew, rounds).await);
    job.board.doing("several processes count together");
    let counted = counts(&scratch, crew, &Order::Count { rounds: rounds as u64 }).await;
    let before = counted.as_ref().map_or(0, |(sum, _)| *sum);
    add("process-count", counted.map(|(_, saw)| saw));
    if let Some(soak) = job.plan.soak.filter(|_| before > 0) {
        job.board.doing("a soak: several processes count for long");
        let millis = u64::try_from(soak.as_millis()).unwrap_or(u64::MAX);
        add("soak", counts(&scratch, crew, &Order::Soak { millis }).await.map(|(_, saw)| saw));
    }
}

/// All make one name; one does, and all see it; one removes it, and all see that.
async fn names(crew: &mut Crew<'_>, rounds: usize, make: fn(String) -> Act) -> Seen {
    for round in 0..rounds {
        // The same name again and again, so that what is remembered of it would be wrong.
        let name = || "raced".to_owned();
        let result = async {
            all_see(&acts(crew, Act::Look(name())).await?, None)?;
            let made = acts(crew, make(name())).await?;
            let content = one_maker(&made)?;
            all_see(&acts(crew, Act::Look(name())).await?, Some(content))?;
            saw(crew.one(round, &Order::Act(Act::Remove(name()))).await?).map(drop)
        };
        result.await.map_err(|e| e.within(format_args!("round {round}")))?;
    }
    Ok(format!("{rounds} rounds of {} processes, each name made once and seen by all", crew.len()))
}

async fn acts(crew: &mut Crew<'_>, act: Act) -> Result<Vec<Saw>, Flaw> {
    crew.all(&Order::Act(act)).await?.into_iter().map(saw).collect()
}

fn saw(reply: Reply) -> Result<Saw, Flaw> {
    if let Reply::Saw(saw) = reply { Ok(saw) } else { Err(strange()) }
}

async fn creates(scratch: &Scratch<'_>, crew: &mut Crew<'_>, rounds: usize) -> Seen {
    let mut unsure = 0;
    for round in 0..rounds {
        let name = format!("create/{round}");
        unsure += one_round(scratch, crew, &name, None).await.map_err(|e| e.within(format_args!("round {round}")))?;
    }
    Ok(told(rounds, crew.len(), unsure))
}

async fn swaps(scratch: &Scratch<'_>, crew: &mut Crew<'_>, rounds: usize) -> Seen {
    let name = "swap";
    part(scratch, name, Precondition::Absent).await?;
    let mut unsure = 0;
    for round in 0..rounds {
        let (_, etag) = head(scratch, name).await?.ok_or("the value to swap is absent")?;
        let etag = Some(etag.0.to_string());
        unsure += one_round(scratch, crew, name, etag).await.map_err(|e| e.within(format_args!("round {round}")))?;
    }
    Ok(told(rounds, crew.len(), unsure))
}

async fn one_round(
    scratch: &Scratch<'_>,
    crew: &mut Crew<'_>,
    name: &str,
    etag: Option<String>,
) -> Result<usize, Flaw> {
    let mut parts = Vec::new();
    for reply in crew.all(&Order::Put { name: name.to_owned(), etag }).await? {
        match reply {
            Reply::Part(part) => parts.push(part),
            _ => return Err(strange()),
        }
    }
    verdict(&parts, head(scratch, name).await?.map(|(id, _)| id))
}

fn told(rounds: usize, processes: usize, unsure: usize) -> String {
    let rest = if unsure == 0 { String::new() } else { format!("; {unsure} answers were `unknown`") };
    format!("{rounds} rounds of {processes} processes, one winner each{rest}")
}

/// All add to one counter. Gives the sum, and what was seen.
async fn counts(scratch: &Scratch<'_>, crew: &mut Crew<'_>, order: &Order) -> Result<(u64, String), Flaw> {
    let before = match head(scratch, "counter").await? {
        None => 0,
        Some(_) => race::counter(scratch).await?,
    };
    let mut sum = 0;
    for reply in crew.all(order).await? {
        match reply {
            Reply::Counted(counted) => sum += counted,
            _ => return Err(strange()),
        }
    }
    let counter = race::counter(scratch).await? - before;
    if counter != sum {
        return Err(format!("{} processes added {sum}, and the counter rose by {counter}", crew.len()).into());
    }
    Ok((sum, format!("{} processes added {sum}, and the counter rose by {counter}", crew.len())))
}
