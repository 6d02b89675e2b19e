//! Processes killed at random: nothing is lost by that, and what would be is counted (the book of it has tests of its own).

use serde_json::Value;

use super::super::lab::Lab;

/// Long enough that some are killed.
const LONG: [&str; 9] = ["bench", "crash", "--clients", "4", "--runs", "1", "--duration", "3s", "--json"];

#[test]
fn nothing_is_lost_when_processes_are_killed() {
    let lab = Lab::new();
    let ran = lab.run(LONG);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let all: Value = serde_json::from_str(&ran.out).unwrap();
    let result = &all["results"][0];
    let losses = &result["losses"];
    assert!(losses["processes_killed"].as_u64().unwrap() > 0, "{result}");
    assert_eq!(
        (&losses["updates_lost"], &losses["tokens_twice"], &losses["two_holders"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert!(result["operations"].as_u64().unwrap() > 4, "{result}");
    assert_eq!(result["store_requests_per_operation"], Value::Null, "nobody knows what the killed ones asked");
    assert_eq!(super::left(&lab), Vec::<String>::new());
}

#[test]
fn a_store_for_one_process_is_refused() {
    let lab = Lab::new();
    for store in ["mem://", &format!("lsm://{}", lab.path("state/lsm").display())] {
        let ran = lab.run(["bench", "crash", "--store", store]);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{}", ran.err);
        assert!(ran.err.contains("one process at a time"), "{}", ran.err);
    }
}
