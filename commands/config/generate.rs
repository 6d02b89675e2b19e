//! The commented configuration file, made from the table of settings.

use super::super::settings::{SETTINGS, Setting};

/// What to write where the default is no value.
const EXAMPLES: [(&str, &str); 10] = [
    ("server", "http://lock1:9341,http://lock2:9341"),
    ("store", "disk:///var/lib/lockd"),
    ("owner", "nightly backup of db1"),
    ("s3-endpoint", "https://minio.example.org:9000"),
    ("s3-sse", "aws:kms"),
    ("s3-kms-key", "alias/lockd"),
    ("azure-endpoint", "https://blobs.example.org/account"),
    ("azure-key-file", "/etc/lockd/azure.key"),
    ("azure-sas-file", "/etc/lockd/azure.sas"),
    ("ca-file", "/etc/ssl/certs/internal.pem"),
];

const HEAD: &str = "\
# Settings of lockd. It reads --config FILE, else LOCKD_CONFIG, else
# $XDG_CONFIG_HOME/lockd/config.yaml (~/.config/lockd/config.yaml), else
# /etc/lockd/config.yaml. A flag beats an environment variable, which beats an
# env-file, which beats this file. Lines that are commented out show the
# default, or an example where that is no fixed value. Keys and signatures of
# object stores do not stand here: `lockd help env` lists their variables.
";

/// The file.
pub fn file() -> String {
    SETTINGS.iter().fold(HEAD.to_owned(), |file, setting| file + "\n" + &entry(setting))
}

fn entry(setting: &Setting) -> String {
    let example = EXAMPLES.iter().find(|(name, _)| *name == setting.name).map(|(_, value)| *value);
    let default = match (setting.default, example) {
        ("", _) => "none".to_owned(),
        (text, Some(_)) => text.replace('`', ""),
        (text, None) => text.to_owned(),
    };
    let value = example.unwrap_or(setting.default);
    format!(
        "# {}\n# (--{}, {}; default: {default})\n#{}: {}\n",
        setting.about,
        setting.name,
        setting.env,
        setting.key(),
        scalar(value)
    )
}

/// A value as YAML reads it back: in quotes where it could be taken for something else.
fn scalar(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
    match !value.is_empty() && value.bytes().all(plain) && !value.starts_with('-') {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::settings::Config;
    use super::*;

    #[test]
    fn it_parses_as_it_is_and_with_every_line_live() {
        let text = file();
        let commented = Config::parse(Path::new("c.yaml"), &text).unwrap();
        let live: String = text
            .lines()
            .map(|line| {
                let setting = SETTINGS.iter().any(|setting| line.starts_with(&format!("#{}: ", setting.key())));
                line.strip_prefix('#').filter(|_| setting).unwrap_or(line).to_owned() + "\n"
            })
            .collect();
        let live = Config::parse(Path::new("c.yaml"), &live).unwrap();
        for setting in SETTINGS {
            let example = EXAMPLES.iter().find(|(name, _)| *name == setting.name).map(|(_, value)| *value);
            assert!(commented.value(setting).is_none(), "{}", setting.name);
            let wanted = example.unwrap_or(setting.default);
            assert_eq!(live.value(setting), Some(wanted), "{} says its default", setting.name);
            for part in [setting.about, setting.env, setting.name] {
                assert!(text.contains(part), "{part}");
            }
        }
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
