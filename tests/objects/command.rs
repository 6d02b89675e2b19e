//! Object stores through the binary: settings, secrets, warnings, and the examples of env-files.

use std::fmt::Write;
use std::time::Duration;

use lockd::clock::{Clock, SystemClock};

use super::fake::{self, Fake};
use super::sas::{self, LATER};
use super::servers::{self, BUCKET, Place, token};
use super::serving::Serving;
use crate::cli::lab::{Lab, Ran, ran};

/// Runs a command beside a service that this test plays: the thread that waits for it is not the service's.
async fn run(lab: &Lab, place: &Place, args: &[&str], input: &str) -> Ran {
    let mut command = lab.lockd();
    command.args(args).write_stdin(input).env("LOCKD_STORE", &place.url);
    command.envs(place.variables.iter().map(|(name, value)| (name, value)));
    tokio::task::block_in_place(|| ran(&mut command))
}

/// The place's settings as an env-file.
pub fn env_file(lab: &Lab, place: &Place) -> String {
    let mut text = format!("LOCKD_STORE={}\n", place.url);
    for (name, value) in &place.variables {
        writeln!(text, "{name}='{value}'").unwrap();
    }
    lab.file("store.env", text).to_str().unwrap().to_owned()
}

pub async fn with_file(lab: &Lab, args: &[&str], input: &str) -> Ran {
    let file = lab.path("store.env");
    let mut command = lab.lockd();
    command.arg("--env-file").arg(file).args(args).write_stdin(input);
    tokio::task::block_in_place(|| ran(&mut command))
}

pub async fn played() -> (Serving<Fake>, Place) {
    let serving = fake::honest().await;
    let place = Place::fake(&serving);
    (serving, place)
}

/// What a user does in the first five minutes.
async fn tour(name: &str, place: &Place) {
    let lab = Lab::new();
    env_file(&lab, place);
    let ran = with_file(&lab, &["exec", "job", "--", "echo", "hi"], "").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "hi\n"), "{name}: {}", ran.err);
    assert!(ran.err.contains(&format!("new store at {}", place.url)), "{name}: {}", ran.err);
    assert_eq!(with_file(&lab, &["update", "a/b"], "{\"n\": 1}").await.code, 0, "{name}");
    assert_eq!(with_file(&lab, &["edit", "a/b", "/n++"], "").await.code, 0, "{name}");
    assert_eq!(with_file(&lab, &["get", "a/b"], "").await.out, "{\"n\":2}\n", "{name}");
    let large = format!("\"{}\"", "x".repeat(9 * 1024 * 1024));
    assert_eq!(with_file(&lab, &["update", "large"], &large).await.code, 0, "{name}");
    assert!(with_file(&lab, &["get", "large"], "").await.out.trim_end() == large, "{name}");
    let listed = with_file(&lab, &["list"], "").await;
    for key in ["a/b", "job", "large"] {
        assert!(listed.out.contains(key), "{name}: {}", listed.out);
    }
    let nested = "echo '{\"n\":3}' | lockd update && lockd get a/b";
    let ran = with_file(&lab, &["exec", "a/b", "--", "sh", "-c", nested], "").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "{\"n\":3}\n"), "{name}: {}", ran.err);
    let busy = with_file(&lab, &["exec", "job", "--", "lockd", "exec", "-n", "job", "--", "true"], "").await;
    assert_eq!(busy.code, 64, "{name}: {}", busy.err);
    let status = with_file(&lab, &["status", "--check", "job"], "").await;
    assert_eq!(status.code, 1, "{name}: it was given back: {}", status.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_work_in_a_bucket_and_in_a_container() {
    let (_serving, place) = played().await;
    tour("fake", &place).await;
    for (name, place) in servers::all().await {
        tour(name, &place).await;
    }
}

/// What the README says of its cost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_command_is_two_reads_and_two_writes() {
    let (serving, place) = played().await;
    let lab = Lab::new();
    let exec = ["exec", "k", "--", "true"];
    assert_eq!(run(&lab, &place, &exec, "").await.code, 0);
    serving.service.requests();
    assert_eq!(run(&lab, &place, &exec, "").await.code, 0);
    let mut kinds: Vec<&str> = Vec::new();
    for request in &serving.service.requests() {
        kinds.push(match request.split(' ').next().unwrap() {
            "GET" if request.contains("list-type=2") => "list",
            "GET" => "read",
            "PUT" => "write",
            other => panic!("{other}"),
        });
    }
    assert_eq!(kinds, ["read", "read", "write", "write"]);
}

/// The guard opens the store by itself when `exec` is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_exec_gives_its_lease_back() {
    let (_serving, place) = played().await;
    let lab = Lab::new();
    env_file(&lab, &place);
    let murder = "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); exec tail -f /dev/null";
    let ran = with_file(&lab, &["exec", "k", "--", "sh", "-c", murder], "").await;
    assert_eq!(ran.code, 137, "{}", ran.err);
    let until = SystemClock.boot() + Duration::from_secs(20);
    while with_file(&lab, &["status", "--check", "k"], "").await.code == 0 {
        assert!(SystemClock.boot() < until, "it is still held");
    }
    let ended = with_file(&lab, &["status", "--json", "k"], "").await.out;
    assert!(ended.contains("\"rolled_back\""), "{ended}");
}

/// Neither a file nor the environment of lockd itself gives a secret to its messages, its arguments, or what it starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_stay_where_they_are() {
    let (_serving, place) = played().await;
    let lab = Lab::new();
    env_file(&lab, &place);
    let look = "env; tr '\\0' '\\n' </proc/$PPID/environ; tr '\\0' ' ' </proc/$PPID/cmdline";
    let ran = with_file(&lab, &["-v", "exec", "k", "--", "sh", "-c", look], "").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("LOCKD_ENV_FILE="), "{}", ran.out);
    let shown = with_file(&lab, &["config", "show", "--origin"], "").await;
    assert!(shown.out.contains("AWS_SECRET_ACCESS_KEY: ***"), "{}", shown.out);
    let json = with_file(&lab, &["config", "show", "--json"], "").await;
    assert!(json.out.contains("\"AWS_SECRET_ACCESS_KEY\""), "{}", json.out);
    let mut ways = vec![ran, shown, json];
    for broken in ["http://127.0.0.1:9", "ftp://x", "http://me:fakesecret@127.0.0.1:9"] {
        ways.push(with_file(&lab, &["-v", "--s3-endpoint", broken, "status", "k"], "").await);
        assert_ne!(ways.last().unwrap().code, 0);
    }
    for ran in ways {
        let all = format!("{} {}", ran.out, ran.err);
        assert!(!all.contains("fakesecret") && !all.contains("fakeid"), "{all}");
    }
}

/// What was typed for `exec` holds for the commands of lockd's inside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_settings_reach_the_commands_inside() {
    let (serving, mut place) = played().await;
    place.variables.retain(|(name, _)| !name.contains("ENDPOINT") && !name.contains("HTTP"));
    let lab = Lab::new();
    let inside = "echo 1 | lockd update && lockd get \"$LOCKD_KEY\" && env | grep LOCKD_S3";
    let typed = ["--s3-endpoint", &serving.address, "--s3-allow-http"];
    let args = [&typed[..], &["exec", "k", "--", "sh", "-c", inside]].concat();
    let ran = run(&lab, &place, &args, "").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains(&format!("LOCKD_S3_ENDPOINT={}", serving.address)), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_not_shorter_than_such_a_store_can_keep() {
    let (_serving, place) = played().await;
    let lab = Lab::new();
    let ran = run(&lab, &place, &["exec", "--ttl", "4s", "k", "--", "true"], "").await;
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert!(ran.err.contains("5 s at the least on an object store"), "{}", ran.err);
    assert_eq!(run(&lab, &place, &["exec", "--ttl", "5s", "k", "--", "true"], "").await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_say_who_has_to_do_something() {
    let (_serving, place) = played().await;
    let lab = Lab::new();
    let with = |name: &str, value: &str| {
        let mut place = place.clone();
        place.variables.retain(|(known, _)| known != name);
        place.variables.push((name.to_owned(), value.to_owned()));
        place
    };
    let elsewhere = Place { url: "s3://nobodys/p".to_owned(), ..place.clone() };
    for (place, code, says) in [
        (with("LOCKD_S3_ENDPOINT", "http://127.0.0.1:9"), 69, "--s3-endpoint (LOCKD_S3_ENDPOINT)"),
        (with("LOCKD_S3_ALLOW_HTTP", "false"), 78, "--s3-allow-http"),
        (with("LOCKD_S3_ALLOW_HTTP", "maybe"), 64, "LOCKD_S3_ALLOW_HTTP"),
        (with("LOCKD_CA_FILE", "/no/such.pem"), 78, "/no/such.pem"),
        (elsewhere, 78, "create it first"),
    ] {
        let ran = run(&lab, &place, &["status", "k"], "").await;
        assert_eq!(ran.code, code, "{}", ran.err);
        assert!(ran.err.contains(says), "{says}: {}", ran.err);
    }
    let ran = run(&lab, &place, &["status", "k", "--no-create"], "").await;
    assert_eq!(ran.code, 78, "{}", ran.err);
    assert!(ran.err.contains("check the prefix"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_ends_soon_is_warned_about() {
    let lab = Lab::new();
    let ran = ran(&mut lab.shell("sh", "date -u -d '+3 days' +%Y-%m-%dT%H:%M:%SZ"));
    let soon = ran.out.trim().to_owned();
    for (expires, warns) in [(soon.as_str(), true), (LATER, false)] {
        let sas = sas::of_container(BUCKET, "rwdl", expires);
        let Some(place) = servers::azurite_with(token(&sas)).await else { return };
        let ran = run(&lab, &place, &["exec", "k", "--", "true"], "").await;
        assert_eq!((ran.code, ran.err.contains("the SAS ends in 2 days")), (0, warns), "{}", ran.err);
        let quiet = run(&lab, &place, &["-q", "exec", "k", "--", "true"], "").await;
        assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
    }
}

fn example(name: &str) -> String {
    std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Every line, also those that are commented out, sets something that is a setting; and all that concern the store are there.
fn complete(text: &str, names: &[&str]) {
    let is_example = |line: &str| {
        let name = line.split('=').next().unwrap();
        line.contains('=')
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_uppercase() || b"_0123456789".contains(&b))
    };
    let live: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| is_example(rest)).unwrap_or(line).to_owned() + "\n")
        .collect();
    let set: Vec<String> = dotenvy::from_read_iter(live.as_bytes()).map(|entry| entry.unwrap().0).collect();
    let help = Lab::new().run(["help", "env"]).out;
    for name in &set {
        assert!(help.contains(&format!("  {name} ")), "{name} is no setting");
    }
    let of_the_store = help.lines().filter_map(|line| line.split_whitespace().next());
    let wanted = of_the_store.filter(|name| names.iter().any(|prefix| name.starts_with(prefix)));
    for name in
        wanted.chain(["LOCKD_STORE", "LOCKD_NAMESPACE", "LOCKD_OWNER", "LOCKD_TTL", "LOCKD_NO_CREATE", "LOCKD_CA_FILE"])
    {
        assert!(set.iter().any(|known| known == name), "{name} is missing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_for_s3_is_complete_and_works() {
    let text = example(".env.s3.example");
    complete(&text, &["LOCKD_S3_", "AWS_ACCESS", "AWS_SECRET", "AWS_SESSION", "AWS_WEB", "AWS_ROLE"]);
    let (serving, place) = played().await;
    let lab = Lab::new();
    let text = text
        .replace("s3://my-bucket/lockd", &place.url)
        .replace("#LOCKD_S3_ENDPOINT=https://minio.example.org:9000", &format!("LOCKD_S3_ENDPOINT={}", serving.address))
        .replace("#LOCKD_S3_ALLOW_HTTP", "LOCKD_S3_ALLOW_HTTP");
    lab.file("store.env", text);
    let ran = with_file(&lab, &["exec", "k", "--", "echo", "hi"], "").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "hi\n"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_for_azure_is_complete_and_works() {
    let text = example(".env.azure.example");
    complete(&text, &["LOCKD_AZURE_", "AZURE_CLIENT", "AZURE_TENANT", "AZURE_FEDERATED"]);
    let sas = sas::of_container(BUCKET, "rwdl", LATER);
    let Some(place) = servers::azurite_with(token(&sas)).await else { return };
    let lab = Lab::new();
    let endpoint = place.settings.azure.endpoint.clone().unwrap();
    let text = text
        .replace("azure://myaccount/mycontainer/lockd", &place.url)
        .replace("sv=2024-11-04&sr=c&sp=rwdl&se=2027-01-01T00%3A00%3A00Z&sig=EXAMPLE", &sas)
        .replace(
            "#LOCKD_AZURE_ENDPOINT=https://myaccount.blob.core.chinacloudapi.cn",
            &format!("LOCKD_AZURE_ENDPOINT={endpoint}"),
        )
        .replace("#LOCKD_AZURE_ALLOW_HTTP", "LOCKD_AZURE_ALLOW_HTTP");
    lab.file("store.env", text);
    let ran = with_file(&lab, &["exec", "k", "--", "echo", "hi"], "").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "hi\n"), "{}", ran.err);
}
