//! The settings as they hold, and where each came from.

use std::path::Path;

use lockd::error::Result;
use serde::Serialize;

use super::super::context::Context;
use super::super::output::{self, Format};
use super::super::settings::{Origin, SETTINGS, Setting};
use super::super::target::{Kind, Need};
use super::super::{storage, text};

/// Show the settings that hold
#[derive(clap::Args)]
#[command(
    long_about = "Print every setting as it holds for a command started here. With --origin also where each value came from. Passwords in \
addresses are masked, and of credentials only the names are shown.

  lockd config show --origin
  lockd --env-file backup.env config show --json"
)]
pub struct Args {
    /// Also tell where each value came from
    #[arg(long, help_heading = "Show")]
    origin: bool,
}

#[derive(Serialize)]
struct Body {
    settings: Vec<Shown>,
    /// The configuration file in use.
    config: Option<String>,
    env_files: Vec<String>,
    /// Credentials that are set, without their values.
    credentials: Vec<Kept>,
}

#[derive(Serialize)]
struct Kept {
    env: &'static str,
    /// `environment` or `env_file`.
    origin: &'static str,
    /// The variable, and the file.
    #[serde(rename = "from")]
    place: String,
}

#[derive(Serialize)]
struct Shown {
    name: &'static str,
    /// Null when nobody set it and there is no fixed default.
    value: Option<String>,
    /// `flag`, `environment`, `env_file`, `config` or `default`.
    origin: &'static str,
    /// The flag, variable or file.
    #[serde(rename = "from")]
    place: String,
    env: &'static str,
}

/// Runs the command.
///
/// # Errors
/// When the answer cannot be written.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let shown: Vec<Shown> = SETTINGS.iter().map(|setting| one(context, setting)).collect();
    let body = Body {
        settings: shown,
        config: context.config.as_deref().map(text_of),
        env_files: context.env_files().iter().map(|path| text_of(path)).collect(),
        credentials: storage::credentials().filter_map(|(env, _)| kept(context, env)).collect(),
    };
    output::print(match context.format()? {
        Format::Text => page(&body, args.origin),
        format => output::document(format, &body)?,
    })?;
    Ok(0)
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn one(context: &Context, setting: &'static Setting) -> Shown {
    let found = context.settings.get(setting.name);
    let value = match found {
        Some(found) => Some(masked(&found.value)),
        // The embedded default depends on who asks.
        None if setting.name == "store" => {
            context.place(Need::Moment).ok().filter(|place| place.kind == Kind::Store).map(|place| place.url)
        }
        None => Some(setting.default.to_owned()).filter(|text| !text.is_empty()),
    };
    let origin = found.map_or(&Origin::Default, |found| &found.origin);
    Shown { name: setting.name, value, origin: layer(origin), place: origin.to_string(), env: setting.env }
}

const fn layer(origin: &Origin) -> &'static str {
    match origin {
        Origin::Flag(_) => "flag",
        Origin::Environment(_) => "environment",
        Origin::EnvFile(..) => "env_file",
        Origin::Config(..) => "config",
        Origin::Default => "default",
    }
}

fn kept(context: &Context, env: &'static str) -> Option<Kept> {
    let origin = context.environment.get(env)?.origin;
    Some(Kept { env, origin: layer(&origin), place: origin.to_string() })
}

fn page(body: &Body, origin: bool) -> String {
    let width = body.settings.iter().map(|shown| shown.name.len()).max().unwrap_or(0) + 1;
    let value = |shown: &Shown| shown.value.as_deref().map_or_else(|| "(none)".to_owned(), text::shown);
    let values = body.settings.iter().map(|shown| value(shown).len()).max().unwrap_or(0).min(40);
    let line = |shown: &Shown| {
        // As a configuration file has it.
        let name = format!("{}:", shown.name.replace('-', "_"));
        match origin {
            true => format!("{name:width$} {:values$}  {}\n", value(shown), text::shown(&shown.place)),
            false => format!("{name:width$} {}\n", value(shown)),
        }
    };
    let kept = |kept: &Kept| match origin {
        true => format!("{}: ***  {}\n", kept.env, text::shown(&kept.place)),
        false => format!("{}: ***\n", kept.env),
    };
    body.settings.iter().map(line).chain(body.credentials.iter().map(kept)).collect()
}

/// An address without the password that may stand in it.
pub fn masked(value: &str) -> String {
    let one = |url: &str| {
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = path.split_once('?').map_or_else(|| path.to_owned(), |(path, _)| format!("{path}?***"));
        match authority.rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
            Some((Some((user, _)), host)) => format!("{scheme}://{user}:***@{host}{path}"),
            _ => format!("{scheme}://{authority}{path}"),
        }
    };
    value.split(',').map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked() {
        for (value, shown) in [
            ("disk:///var/lib/lockd", "disk:///var/lib/lockd"),
            ("http://a:9341,https://me:geheim@b/x", "http://a:9341,https://me:***@b/x"),
            ("azure://a/c?sig=geheim", "azure://a/c?***"),
            ("nightly backup of a@b:c", "nightly backup of a@b:c"),
        ] {
            assert_eq!(masked(value), shown);
        }
    }
}
