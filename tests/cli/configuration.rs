//! Settings from flags, the environment, env-files and the configuration file, through the binary.

use super::lab::{Lab, ran};

fn owner_of(lab: &Lab, key: &str) -> String {
    lab.status(key)["holder"]["owner"].as_str().unwrap().to_owned()
}

#[test]
fn each_place_beats_those_below_it() {
    let lab = Lab::new();
    let config = lab.file("config.yaml", "owner: from-config\nttl: 1h\n");
    let one = lab.file("one.env", "LOCKD_OWNER=from-one\n");
    let two = lab.file("two.env", "export LOCKD_OWNER='from two'\n");
    let (config, one, two) = (config.to_str().unwrap(), one.to_str().unwrap(), two.to_str().unwrap());
    let acquire = |key: &str, more: &[&str], env: &[(&str, &str)]| {
        let ran = ran(lab.lockd().args(["acquire", key]).args(more).envs(env.iter().copied()));
        assert_eq!(ran.code, 0, "{}", ran.err);
        owner_of(&lab, key)
    };
    assert!(acquire("a", &[], &[]).contains('@'));
    assert_eq!(acquire("b", &["--config", config], &[]), "from-config");
    assert_eq!(lab.status("b")["holder"]["ttl_ms"], 3_600_000);
    assert_eq!(acquire("c", &[], &[("LOCKD_CONFIG", config)]), "from-config");
    assert_eq!(acquire("d", &["--config", config, "--env-file", one], &[]), "from-one");
    assert_eq!(acquire("e", &["--env-file", one, "--env-file", two], &[]), "from two");
    assert_eq!(acquire("f", &[], &[("LOCKD_ENV_FILE", &format!("{two}:{one}"))]), "from-one");
    assert_eq!(acquire("g", &["--env-file", one], &[("LOCKD_OWNER", "from-env")]), "from-env");
    assert_eq!(acquire("h", &["--owner", "from-flag"], &[("LOCKD_OWNER", "from-env")]), "from-flag");
}

#[test]
fn the_users_configuration_file_is_found() {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("home/config/lockd")).unwrap();
    lab.file("home/config/lockd/config.yaml", "owner: from-home\n");
    lab.acquire("k", &[]);
    assert_eq!(owner_of(&lab, "k"), "from-home");
}

#[test]
fn a_dotenv_that_nobody_named_is_not_read() {
    let lab = Lab::new();
    lab.file("work/.env", format!("LOCKD_STORE=disk://{}\n", lab.path("elsewhere").display()));
    lab.acquire("k", &[]);
    assert!(!lab.path("elsewhere").exists());
    assert!(lab.path("state/lockd").exists());
}

#[test]
fn wrong_configuration_is_78_and_says_where() {
    let lab = Lab::new();
    for (text, says) in [
        ("stroe: x\n", "unknown key `stroe` at line 1"),
        ("# fine\nno-create: true\n", "unknown key `no-create` at line 2"),
        ("store: [", "config.yaml: "),
        ("ttl: soon\n", "ttl in "),
        ("store: gs://b/p\n", "store in "),
        ("namespace: a/b\n", "namespace in "),
        ("color: red\n", "color in "),
        ("no_create: maybe\n", "no_create in "),
    ] {
        let config = lab.file("config.yaml", text);
        let ran = lab.run(["acquire", "k", "--config", config.to_str().unwrap()]);
        assert_eq!(ran.code, 78, "{text:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{text:?}: {}", ran.err);
    }
    for args in [["--config", "/no/such.yaml"], ["--env-file", "/no/such.env"]] {
        let ran = lab.run(["status", "k"].iter().chain(&args));
        assert_eq!(ran.code, 78, "{}", ran.err);
        assert!(ran.err.contains("/no/such") && ran.err.contains("does not exist"), "{}", ran.err);
    }
    let secret = lab.file("x.env", "A=1\npass word\n");
    let ran = lab.run(["status", "k", "--env-file", secret.to_str().unwrap()]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("line 2") && !ran.err.contains("word"), "{}", ran.err);
}

#[test]
fn a_flag_of_one_kind_beats_the_variable_of_the_other() {
    let lab = Lab::new();
    let store = lab.store();
    let server = ("LOCKD_SERVER", "http://127.0.0.1:9");
    let with = |args: &[&str]| ran(lab.lockd().args(["status", "k"]).args(args).env(server.0, server.1));
    assert_eq!(with(&["--store", &store]).code, 0);
    let refused = with(&[]);
    assert_eq!(refused.code, 69);
    assert!(refused.err.contains("http://127.0.0.1:9"), "{}", refused.err);
    let both = lab.run(["status", "k", "--store", &store, "--server", "http://x"]);
    assert_eq!(both.code, 64);
    assert!(both.err.contains("exclude each other"), "{}", both.err);
}

#[test]
fn verbose_names_the_store_and_who_named_it() {
    let lab = Lab::new();
    let ran = lab.run(["status", "k", "-v"]);
    assert!(ran.err.contains(&format!("store {} (", lab.store())), "{}", ran.err);
    assert!(ran.err.contains("named by the default"), "{}", ran.err);
}

#[test]
fn the_example_of_an_env_file_is_complete_and_parses() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.disk.example")).unwrap();
    // Every line that is commented out is an example of its own.
    let live: String = text
        .lines()
        .map(|line| line.strip_prefix("#LOCKD_").map_or(line.to_owned(), |l| format!("LOCKD_{l}")) + "\n")
        .collect();
    let names: Vec<String> = dotenvy::from_read_iter(live.as_bytes()).map(|entry| entry.unwrap().0).collect();
    let lab = Lab::new();
    let help = lab.run(["help", "env"]).out;
    for name in &names {
        assert!(help.contains(&format!("  {name} ")), "{name} is no setting");
    }
    for setting in ["STORE", "NAMESPACE", "OWNER", "TTL", "NO_CREATE", "COLOR"] {
        assert!(names.contains(&format!("LOCKD_{setting}")), "{setting} is missing");
    }
    let store = lab.store();
    let file = lab.file("x.env", live.replace("disk:///var/lib/lockd", &store).replace("LOCKD_NO_CREATE=true", ""));
    let ran = lab.run(["acquire", "k", "--env-file", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn what_an_env_file_says_does_not_reach_the_command() {
    let lab = Lab::new();
    let store = format!("disk://{}", lab.path("work/elsewhere").display());
    lab.file("work/x.env", format!("LOCKD_STORE={store}\nLOCKD_OWNER=me\nAWS_SECRET_ACCESS_KEY=geheim\n"));
    let ran = ran(lab.lockd().args(["--env-file", "x.env", "exec", "k", "--", "env"]).env("MINE", "stays"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("geheim"), "{}", ran.out);
    let has = |line: String| ran.out.lines().any(|l| l == line);
    assert!(has("MINE=stays".to_owned()) && has(format!("LOCKD_STORE={store}")) && has("LOCKD_OWNER=me".to_owned()));
    // The file itself is named by its absolute path, for commands that go elsewhere.
    assert!(
        has(format!("LOCKD_ENV_FILE={}", lab.path("work").canonicalize().unwrap().join("x.env").display()))
            || has(format!("LOCKD_ENV_FILE={}", lab.path("work/x.env").display())),
        "{}",
        ran.out
    );
}
