//! Settings: the configuration file, env-files, the environment, flags, and which of them holds.

use std::collections::BTreeMap;
use std::path::Path;

use lockd::error::ErrorKind;

use super::commands::settings::{Config, Environment, SETTINGS, Typed, resolve};

/// Divides the input: no text has it.
const MARK: u8 = 0x1e;

/// The configuration file, one env-file, the environment (`NAME=value`, one a line), flags (`name=value`), another env-file.
pub fn run(data: &[u8]) {
    let mut parts = data.split(|b| *b == MARK).map(|part| std::str::from_utf8(part).unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    let (config, first, variables, flags, second) = (next(), next(), next(), next(), next());
    let config = match Config::parse(Path::new("c.yaml"), config) {
        Ok(config) => Some(config),
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Config);
            None
        }
    };
    let vars = pairs(variables);
    let mut environment = Environment { vars: vars.clone(), ..Environment::default() };
    let mut overlay = BTreeMap::new();
    for (name, text) in [("first.env", first), ("second.env", second)] {
        overlay.extend(env_file(&mut environment, name, text));
    }
    assert_eq!(environment.vars, vars, "an env-file reached the environment");
    let typed: Typed = pairs(flags)
        .into_iter()
        .filter_map(|(name, value)| Some((SETTINGS.iter().find(|setting| setting.name == name)?.name, value)))
        .collect();
    let settings = resolve(&typed, &environment, config.as_ref());
    for setting in SETTINGS {
        let variable = |name: &str| {
            let said = |value: &&String| !value.is_empty();
            vars.get(name).filter(said).or_else(|| overlay.get(name).filter(said)).cloned()
        };
        let wanted = typed
            .get(setting.name)
            .cloned()
            .or_else(|| variable(setting.env))
            .or_else(|| config.as_ref().and_then(|config| config.value(setting).map(str::to_owned)))
            .or_else(|| setting.usual().iter().find_map(|name| variable(name)));
        assert_eq!(settings.get(setting.name).map(|found| found.value.clone()), wanted, "{}", setting.name);
        let _either_or_an_error = settings.is_on(setting.name);
    }
    if let Some(config) = config {
        written_anew(&config);
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Adds an env-file, and tells what it says. A wrong one says which line, and not what is in it.
fn env_file(environment: &mut Environment, name: &str, text: &str) -> BTreeMap<String, String> {
    if text.is_empty() {
        return BTreeMap::new();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    match environment.add_file(&path) {
        Ok(()) => {}
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Config);
            let told = e.to_string();
            let shown = text.lines().map(str::trim).find(|line| line.len() > 12 && told.contains(line));
            assert_eq!(shown, None, "{told}");
        }
    }
    let of_this = environment.overlay.iter().filter(|(_, (_, from))| *from == path);
    of_this.map(|(name, (value, _))| (name.clone(), value.clone())).collect()
}

/// The same values, each quoted as JSON (which is YAML), are the same configuration.
fn written_anew(config: &Config) {
    let lines = SETTINGS.iter().filter_map(|setting| {
        let value = serde_json::to_string(config.value(setting)?).unwrap();
        Some(format!("{}: {value}\n", setting.key()))
    });
    let text: String = lines.collect();
    let again = Config::parse(config.path(), &text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(again, *config, "{text:?}");
}
