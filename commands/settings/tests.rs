use std::path::Path;

use super::*;

fn environment(vars: &[(&str, &str)], overlay: &[(&str, &str)]) -> Environment {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let overlay = overlay.iter().map(|(name, value)| ((*name).to_owned(), ((*value).to_owned(), "a.env".into())));
    Environment { vars, overlay: overlay.collect(), ..Environment::default() }
}

fn config(text: &str) -> Result<Config> {
    Config::parse(Path::new("c.yaml"), text)
}

#[test]
fn each_place_beats_those_below_it() {
    let all = config("store: config\nnamespace: config\nowner: config\nttl: 10").unwrap();
    let environment = environment(
        &[("LOCKD_STORE", "env"), ("LOCKD_NAMESPACE", "env")],
        &[("LOCKD_STORE", "file"), ("LOCKD_NAMESPACE", "file"), ("LOCKD_OWNER", "file")],
    );
    let typed = Typed::from([("store", "flag".to_owned())]);
    let settings = resolve(&typed, &environment, Some(&all));
    let found = |name| settings.get(name).map(|found| (found.value.as_str(), found.origin.to_string()));
    assert_eq!(found("store"), Some(("flag", "--store".to_owned())));
    assert_eq!(found("namespace"), Some(("env", "LOCKD_NAMESPACE".to_owned())));
    assert_eq!(found("owner"), Some(("file", "LOCKD_OWNER in a.env".to_owned())));
    assert_eq!(found("ttl"), Some(("10", "ttl in c.yaml".to_owned())));
    assert_eq!(found("color"), None);
    assert_eq!(settings.with_flag("ttl", Some("5s")).get("ttl").unwrap().origin, Origin::Flag("ttl"));
    assert_eq!(settings.with_flag("ttl", None), settings);
}

#[test]
fn an_empty_variable_is_none() {
    let settings = resolve(&Typed::new(), &environment(&[("LOCKD_STORE", "")], &[("LOCKD_STORE", "file")]), None);
    assert_eq!(settings.get("store").unwrap().value, "file");
}

#[test]
fn a_wrong_value_is_blamed_on_its_place() {
    let read = |_: &str| Err::<(), _>("is wrong".to_owned());
    let settings = resolve(&Typed::new(), &environment(&[("LOCKD_TTL", "x")], &[("LOCKD_OWNER", "y")]), None);
    let error = settings.get("ttl").unwrap().parse(read).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Usage, "LOCKD_TTL: is wrong"));
    let error = settings.get("owner").unwrap().parse(read).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Config, "LOCKD_OWNER in a.env: is wrong"));
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error = config("store: disk:///x\n# a comment\nstroe: disk:///y\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("c.yaml: unknown key `stroe`"), "{error}");
    assert!(error.message().contains("line 3"), "{error}");
}

#[test]
fn what_a_configuration_file_may_hold() {
    for text in ["", "# nothing\n", "store:\n", "{}"] {
        assert!(config(text).unwrap().values_are_empty(), "{text:?}");
    }
    let lists = config("server: [http://a, http://b]\nno_create: true\nttl: 1.5").unwrap();
    let settings = resolve(&Typed::new(), &Environment::default(), Some(&lists));
    assert_eq!(settings.get("server").unwrap().value, "http://a,http://b");
    assert_eq!(settings.get("ttl").unwrap().value, "1.5");
    assert!(settings.is_on("no-create").unwrap());
    for text in ["store", "- store", "store: {a: b}", "store: a\nstore: b", "store: [", "no-create: true"] {
        assert_eq!(config(text).unwrap_err().kind(), ErrorKind::Config, "{text:?}");
    }
}

#[test]
fn a_bad_line_of_an_env_file_is_numbered_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.env");
    std::fs::write(&path, "# fine\nexport A='b c'\nsecret phrase\n").unwrap();
    let error = Environment::default().add_file(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("x.env line 3"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn the_table_has_no_name_twice() {
    for (i, setting) in SETTINGS.iter().enumerate() {
        assert!(SETTINGS[i + 1..].iter().all(|other| other.name != setting.name && other.env != setting.env));
        assert_eq!(setting.env, format!("LOCKD_{}", setting.key().to_uppercase()));
    }
}
