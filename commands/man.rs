//! `lockd man`: manual pages, made from the tree of commands and the tables that the code uses.

use std::path::Path;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use lockd::error::{Error, Result};

use super::{cli, help, output};

/// Print the manual page, or write all pages into a directory
#[derive(clap::Args)]
#[command(long_about = "Print the manual page of lockd, or write the pages of all commands into a directory.

  lockd man | man -l -
  lockd man /usr/local/share/man/man1")]
pub struct Args {
    /// The directory for the pages, one for each command
    dir: Option<std::path::PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When a page cannot be written.
pub fn run(args: &Args) -> Result<u8> {
    let pages = pages().map_err(|e| Error::io("make the manual pages", &e))?;
    let Some(dir) = &args.dir else {
        output::print(pages.first().map_or(&[][..], |(_, page)| page))?;
        return Ok(0);
    };
    for (name, page) in &pages {
        write(&dir.join(name), page)?;
    }
    Ok(0)
}

fn write(path: &Path, page: &[u8]) -> Result<()> {
    std::fs::write(path, page).map_err(|e| {
        Error::io(format_args!("write {}", path.display()), &e).with_hint("name a directory that exists and is yours")
    })
}

/// Every page with its file name; that of lockd itself first.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = cli::tree();
    root.build();
    let mut pages = vec![("lockd.1".to_owned(), page(&root, "lockd", true)?)];
    children(&root, "lockd", &mut pages)?;
    Ok(pages)
}

/// The pages of subcommands, and of theirs.
fn children(command: &clap::Command, parent: &str, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    for command in command.get_subcommands() {
        let name = format!("{parent}-{}", command.get_name());
        pages.push((format!("{name}.1"), page(command, &name, false)?));
        children(command, &name, pages)?;
    }
    Ok(())
}

fn page(command: &clap::Command, name: &str, root: bool) -> std::io::Result<Vec<u8>> {
    let command = command.clone().display_name(name.to_owned()).version(env!("CARGO_PKG_VERSION"));
    // What `-h` leaves out would stand here without a word.
    let command = command.mut_args(|arg| arg.hide_short_help(false));
    let version = concat!("lockd ", env!("CARGO_PKG_VERSION"));
    // Without a date, so that the page is the same whenever it is made.
    let man = Man::new(command).title(name.to_uppercase()).date("").source(version).manual("lockd");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if root {
        man.render_subcommands_section(&mut out)?;
        for (title, rows) in [("EXIT STATUS", help::exit_code_rows()), ("ENVIRONMENT", help::environment_rows())] {
            table(title, &rows).to_writer(&mut out)?;
        }
    } else {
        let mut see = Roff::new();
        see.control("SH", ["SEE ALSO"]);
        see.text([bold("lockd"), roman("(1): exit status, environment")]);
        see.to_writer(&mut out)?;
    }
    Ok(out)
}

fn table(title: &str, rows: &[(String, String)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (name, text) in rows {
        roff.control("TP", []);
        roff.text([bold(name.as_str())]);
        roff.text([roman(text.as_str())]);
    }
    roff
}
