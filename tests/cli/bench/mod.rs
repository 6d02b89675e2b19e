//! `lockd bench`: every suite on every store that there is, and nothing left behind. No figure is judged.

mod crash;
mod servers;

use serde_json::Value;

use super::lab::{Lab, Ran};
use super::pty::Pty;

/// Short runs.
fn bench(lab: &Lab, clients: &str, args: &[&str]) -> Ran {
    let short = ["bench", "--clients", clients, "--runs", "2", "--duration", "50ms"];
    lab.run(short.iter().chain(args))
}

/// What the store has beside what every new store has.
fn left(lab: &Lab) -> Vec<String> {
    let names = std::fs::read_dir(lab.path("state/lockd")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !["reserve", "store.json"].contains(&name.as_str())).collect()
}

#[test]
fn every_suite_on_every_store() {
    let lab = Lab::new();
    let (on_disk, on_lsm) = (lab.store(), format!("lsm://{}", lab.path("state/lsm").display()));
    for store in ["mem://", &on_disk, &on_lsm] {
        let ran = bench(&lab, "2", &["--store", store, "--json", "--keys", "100,300"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let all: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&all["schema"], all["store"].as_str()), (&1.into(), Some(store)));
        assert_eq!((&all["interrupted"], &all["rate"]), (&false.into(), &Value::Null));
        let results = all["results"].as_array().unwrap();
        let works: Vec<&str> = results.iter().map(|result| result["work"].as_str().unwrap()).collect();
        // Processes are killed where they can share a store: see `crash`.
        let crash = usize::from(store.starts_with("disk"));
        assert_eq!(works[..WORKS.len()], WORKS);
        assert_eq!(works[WORKS.len()..], ["crash"][..crash]);
        assert_eq!(ran.err.contains("crash is left out"), crash == 0, "{}", ran.err);
        results[..WORKS.len()].iter().for_each(check);
    }
    assert_eq!(left(&lab), Vec::<String>::new());
    let names = std::fs::read_dir(lab.path("state/lsm")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().starts_with("bench.")).count(), 0);
    assert_eq!(lab.run(["list"]).out, "");
    assert_eq!(lab.run(["list", "--store", &on_lsm]).out, "");
}

/// What all suites come to.
const WORKS: [&str; 10] = [
    "lease",
    "update 1 KiB",
    "update 5 MiB",
    "stream 16 MiB",
    "handoff",
    "scale 100",
    "scale 300",
    "raw put",
    "raw get",
    "raw 5 MiB",
];

/// Every field is there, and they fit each other.
fn check(result: &Value) {
    let count = |field: &str| result[field].as_u64().unwrap_or_else(|| panic!("no {field} in {result}"));
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} in {result}"));
    assert_eq!((count("clients"), count("missed"), &result["errors"]), (2, 0, &serde_json::json!({})));
    let operations = count("operations");
    assert!(operations >= 4, "each client did at least one operation a run: {result}");
    let latency = &result["latency_us"];
    assert_eq!(latency["count"].as_u64(), Some(operations));
    let rising = ["min", "p50", "p90", "p99", "p999", "max"].map(|name| number(&latency[name]));
    assert!(rising.is_sorted() && rising[0] > 0.0, "{latency}");
    let steps: Vec<&str> = result["steps"].as_array().unwrap().iter().map(|s| s["step"].as_str().unwrap()).collect();
    let requests = &result["store_requests_per_operation"];
    let (expected, puts): (&[&str], f64) = match result["suite"].as_str().unwrap() {
        "lease" | "scale" => (&["acquire", "release"], 2.0),
        "update" => (&["acquire", "update", "release"], 3.0),
        "stream" => (&["acquire", "up", "down", "release"], 3.0),
        "handoff" => (&["wait", "release"], 2.0),
        _ if result["work"] == "raw put" => (&[], 1.0),
        _ if result["work"] == "raw 5 MiB" => (&["up", "down", "delete"], 0.0),
        _ => (&[], 0.0),
    };
    assert_eq!(steps, expected);
    // Whatever else it asks: one write for each change. Where clients stand in each other's way, some need more, and a release and
    // the grant to the next one may be the same.
    let made = requests.get("put").map_or(0.0, number);
    let (least, most) = if result["suite"] == "handoff" { (0.5 * puts, 4.0 * puts) } else { (puts, puts + 0.001) };
    assert!((least..=most).contains(&made), "{made} puts: {result}");
    let rate = &result["per_second"];
    assert!(number(&rate["min"]) <= number(&rate["median"]) && number(&rate["median"]) <= number(&rate["max"]));
    assert!(number(&result["cpu_us_per_operation"]) > 0.0 && number(&result["peak_memory_bytes"]) > 1e6);
    assert!((0.0..=1.0).contains(&number(&result["generator_cpu_share"])));
    let runs = result["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs.iter().map(|run| run["operations"].as_u64().unwrap()).sum::<u64>(), operations);
    assert!(runs.iter().all(|run| number(&run["elapsed_ms"]) >= 50.0), "{result}");
}

#[test]
fn a_table_for_people() {
    let lab = Lab::new();
    let ran = bench(&lab, "3", &["raw", "lease", "--replicas", "2"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].contains(&lab.store()) && lines[0].ends_with("2 replicas"), "{}", ran.out);
    assert_eq!(lines[1], "2 runs of 50ms for each work, after a warm-up of 25ms");
    let first = |line: &&str| line.split("  ").find(|word| !word.is_empty()).unwrap().to_owned();
    let words: Vec<String> = lines[3..13].iter().map(first).collect();
    let blob = ["raw 5 MiB", "up", "down", "delete"];
    assert_eq!(words, [&["WORK", "lease", "acquire", "release", "raw put", "raw get"][..], &blob].concat());
    assert!(lines.last().unwrap().starts_with("peak memory "), "{}", ran.out);
    assert!(ran.out.lines().skip(2).all(|line| line.chars().count() <= 80), "{}", ran.out);
    assert_eq!(left(&lab), Vec::<String>::new());
}

#[test]
fn several_numbers_of_clients_and_a_fixed_rate() {
    let lab = Lab::new();
    let ran = bench(&lab, "4,1", &["lease", "--rate", "100", "--store", "mem://", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let all: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(all["rate"], 100.0);
    let results = all["results"].as_array().unwrap();
    assert_eq!(results.iter().map(|r| r["clients"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 4]);
    for result in results {
        // Five are due in each run of 50 ms: no more, however fast the store is, and none is forgotten.
        let due = result["operations"].as_u64().unwrap() + result["missed"].as_u64().unwrap();
        assert_eq!(due, 10, "{result}");
    }
}

#[test]
fn an_interrupt_prints_what_was_measured_and_leaves_nothing() {
    let lab = Lab::new();
    let mut terminal = Pty::start(&lab, &["bench", "lease", "update", "--duration", "1h", "-o", "yaml"], &[]);
    // The bar is drawn ten times a second: after a few of them something was measured.
    for _ in 0..5 {
        terminal.expect("lease, run 1 of 5");
        terminal.forget();
    }
    let inside = std::fs::read_dir(lab.path("state/lockd")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(inside.filter(|name| name.to_string_lossy().starts_with("bench.")).count(), 1);
    terminal.type_in("\x03");
    let ran = terminal.end();
    assert_eq!(ran.code, 130, "{}", ran.out);
    assert!(ran.out.contains("interrupted: true"), "{}", ran.out);
    assert!(ran.out.contains("- suite: lease") && !ran.out.contains("suite: update"), "{}", ran.out);
    assert_eq!(left(&lab), Vec::<String>::new());
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_is_made() {
    let lab = Lab::new();
    for (args, says) in [
        (&["speed"][..], "speed"),
        (&["--clients", "0"], "--clients: \"0\" is not a number from 1 to 4096"),
        (&["--clients", "1,x"], "\"x\" is not a number"),
        (&["--keys", "1k"], "--keys: \"1k\" is not a number"),
        (&["--runs", "101"], "from 1 to 100"),
        (&["--states", "1kb"], "--states: \"1kb\" is not a size"),
        (&["--replicas", "65"], "--replicas: \"65\""),
        (&["--duration", "1ms"], "10ms to 24h"),
        (&["--duration", "soon"], "--duration"),
        (&["--rate", "0"], "--rate"),
        (&["--rate", "many"], "operations a second"),
        (&["--store", "gs://bucket"], "not offered"),
        (&["--store", "mem://x"], "mem://"),
    ] {
        let ran = lab.run(["bench"].iter().chain(args));
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
    }
    assert!(!lab.path("state/lockd").exists());
    let ran = lab.run(["bench", "--no-create"]);
    assert_eq!(ran.code, 78, "{}", ran.err);
}

#[test]
fn today_is_compared_with_another_day() {
    let lab = Lab::new();
    let before = bench(&lab, "2", &["lease", "--store", "mem://", "--json"]);
    assert_eq!(before.code, 0, "{}", before.err);
    let mut before: Value = serde_json::from_str(&before.out).unwrap();
    // As if it had been so much slower, or faster, that no noise of this machine matters.
    let file = |name: &str, before: &Value| lab.file(name, before.to_string()).to_str().unwrap().to_owned();
    let scaled = |before: &mut Value, factor: f64| {
        for run in before["results"][0]["runs"].as_array_mut().unwrap() {
            run["per_second"] = (run["per_second"].as_f64().unwrap() * factor).into();
            run["p50_us"] = (run["p50_us"].as_f64().unwrap() / factor).into();
        }
    };
    scaled(&mut before, 1e-6);
    let slow = file("slow.json", &before);
    scaled(&mut before, 1e12);
    let fast = file("fast.json", &before);

    let ran = bench(&lab, "2", &["lease", "raw", "--store", "mem://", "--baseline", &slow]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.contains("\ncompared with lockd ") && ran.out.contains("not in the baseline"), "{}", ran.out);
    assert!(!ran.out.contains("slower"), "{}", ran.out);

    let ran = bench(&lab, "2", &["lease", "--store", "mem://", "--baseline", &fast, "--tolerance", "99%", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let now: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(now["baseline"]["tolerance"], 0.99);
    let comparison = &now["results"][0]["comparison"];
    assert_eq!(comparison["slower"], true);
    assert!(comparison["per_second_ratio"].as_f64().unwrap() < 0.01, "{comparison}");

    let other = lab.file("other.json", "{}");
    let ran = lab.run(["bench", "--baseline", other.to_str().unwrap()]);
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert!(ran.err.contains("not what `lockd bench --json` prints"), "{}", ran.err);
    assert_eq!(lab.run(["bench", "--baseline", "/no/such/file"]).code, 74);
    assert_eq!(lab.run(["bench", "--tolerance", "100%"]).code, 64);
}

#[test]
fn a_page_with_plots_that_needs_nothing_else() {
    let lab = Lab::new();
    let page = lab.path("page.html");
    let args = ["lease", "raw", "--store", "mem://", "-q", "--report", page.to_str().unwrap()];
    let ran = bench(&lab, "1,2", &args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    // Two numbers of clients and four works: a distribution and its runs for each, and one plot of growth for each work.
    assert_eq!(page.matches("role=\"img\"").count(), 2 * 2 * 4 + 4);
    for tag in ["svg", "div", "p", "tr", "span", "details", "table"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert!(opened > 0);
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    for outside in ["<script", "http://", "https://", "url(", "NaN", "inf,"] {
        assert!(!page.contains(outside), "{outside} in {page}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("name=\"viewport\""));

    let ran = lab.run(["bench", "--report", "/no/such/directory/page.html"]);
    assert_eq!(ran.code, 73, "{}", ran.err);
    assert!(!lab.path("state/lockd").exists(), "it is opened before anything is measured");
}
