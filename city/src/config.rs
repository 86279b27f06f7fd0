//! The options of `city serve` from elsewhere than the command line: a flag wins over the environment, that over the
//! file, and that over the default.
//!
//! Every option has its variable (`--log-level` is `CITY_LOG_LEVEL`) and its key in the file (`log-level`), whoever adds
//! it: both are made from the options themselves. **What a file says is a default like any other**, so the same parser
//! reads it and the same words say what is wrong with it.

use crate::horn;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use std::any::TypeId;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The subcommand whose options these are.
const SERVE: &str = "serve";
/// The option that names the file.
const CONFIG: &str = "config";
/// The one secret of which a part may be shown.
const WEBHOOK: &str = "alerts_webhook";

/// What the command line, the environment and the file say together.
pub(crate) struct Read {
    pub(crate) matches: ArgMatches,
    /// One line for the log: each option, its value and where it comes from. Empty unless the city is to serve.
    pub(crate) settings: String,
}

/// Reads all three. Ends the process, as the parser does, with help or with what is wrong on the command line.
pub(crate) fn read(plain: Command) -> Result<Read, String> {
    let command = with_environment(plain.clone());
    let given = command.clone().ignore_errors(true).try_get_matches().ok();
    let path = given.as_ref().and_then(|given| given.subcommand_matches(SERVE)).and_then(config);
    let (command, keys) = match &path {
        None => (command, BTreeSet::new()),
        Some(path) => with_file(command, &plain, given.as_ref(), path)
            .map_err(|why| format!("{}: {why}", path.display()))?,
    };
    let matches = command.get_matches();
    let settings = matches.subcommand_matches(SERVE).map(|serve| settings(&plain, serve, &keys));
    Ok(Read { settings: settings.unwrap_or_default(), matches })
}

fn config(serve: &ArgMatches) -> Option<PathBuf> {
    serve.try_get_one::<PathBuf>(CONFIG).ok().flatten().cloned()
}

/// Gives every option of the city that serves its variable, and the data directory of all others the same one.
fn with_environment(command: Command) -> Command {
    let command = command.mut_subcommand(SERVE, |serve| serve.mut_args(with_variable));
    with_data(command)
}

fn with_variable(arg: Arg) -> Arg {
    let Some(long) = arg.get_long().filter(|_| arg.get_env().is_none()) else { return arg };
    let variable = format!("CITY_{}", long.replace('-', "_").to_uppercase());
    // An empty variable is how a compose file leaves one out.
    if std::env::var_os(&variable).is_some_and(|value| value.is_empty()) {
        return arg;
    }
    arg.env(variable).hide_env_values(true)
}

fn with_data(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|own| own.get_name().to_owned()).collect();
    let command = names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_data));
    command.mut_args(|arg| if arg.get_long() == Some("data") { with_variable(arg) } else { arg })
}

/// The options a file may set.
fn options(plain: &Command) -> Vec<&Arg> {
    let serve = plain.find_subcommand(SERVE);
    let all = serve.map(|serve| serve.get_arguments().filter(|arg| arg.get_long().is_some()));
    all.into_iter().flatten().filter(|arg| arg.get_id() != CONFIG).collect()
}

/// Puts what the file says in the place of the defaults, and tells which options it names.
fn with_file(
    mut command: Command,
    plain: &Command,
    given: Option<&ArgMatches>,
    path: &Path,
) -> Result<(Command, BTreeSet<String>), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        // Not the parser's own text, which shows the line with whatever secret stands in it.
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.split('\n').count());
        format!("line {line}: {}", error.message())
    })?;
    let options = options(plain);
    let mut named = BTreeSet::new();
    for (key, value) in &table {
        let option = options.iter().find(|option| option.get_long() == Some(key.as_str()));
        let option = option.ok_or_else(|| unknown(key, &options))?;
        let value =
            said(option, value, path).ok_or_else(|| format!("{key}: is a text, a number, true or false"))?;
        try_out(plain, key, &value, option.is_hide_env_values_set())?;
        let id = option.get_id().as_str().to_owned();
        // The parser lets defaults be, whatever excludes them.
        let mut rivals = options.iter().filter(|rival| exclude(plain, option, rival));
        if let Some(rival) =
            rivals.clone().find(|rival| rival.get_long().is_some_and(|name| table.contains_key(name)))
        {
            return Err(format!("`{key}` and `{}` exclude each other", rival.get_long().unwrap_or_default()));
        }
        if rivals.any(|rival| is_given(given, rival)) {
            continue;
        }
        command = command.mut_subcommand(SERVE, |serve| {
            serve.mut_arg(&id, |arg| {
                arg.default_value(value).hide_default_value(option.is_hide_env_values_set())
            })
        });
        named.insert(id);
    }
    Ok((command, named))
}

fn exclude(plain: &Command, one: &Arg, other: &Arg) -> bool {
    let Some(serve) = plain.find_subcommand(SERVE) else { return false };
    let names = |of: &Arg, whom: &Arg| {
        serve.get_arg_conflicts_with(of).iter().any(|own| own.get_id() == whom.get_id())
    };
    names(one, other) || names(other, one)
}

/// Whether an option stands on the command line or in the environment.
fn is_given(given: Option<&ArgMatches>, option: &Arg) -> bool {
    let source = given
        .and_then(|given| given.subcommand_matches(SERVE))
        .and_then(|serve| serve.value_source(option.get_id().as_str()));
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// The value as it would stand on the command line. A path is meant from where the file lies.
fn said(option: &Arg, value: &Value, path: &Path) -> Option<OsString> {
    match value {
        Value::String(text) if option.get_value_parser().type_id() == TypeId::of::<PathBuf>() => {
            Some(path.parent().unwrap_or(Path::new("")).join(text).into_os_string())
        }
        Value::String(text) => Some(text.into()),
        Value::Integer(number) => Some(number.to_string().into()),
        Value::Boolean(flag) => Some(flag.to_string().into()),
        _ => None,
    }
}

/// Asks the parser about one value, so that what is wrong names the key and not a flag nobody gave.
fn try_out(plain: &Command, key: &str, value: &OsString, secret: bool) -> Result<(), String> {
    let mut given = OsString::from(format!("--{key}="));
    given.push(value);
    let tried = plain.clone().try_get_matches_from([OsString::from("city"), SERVE.into(), given]);
    tried.map(|_| ()).map_err(|error| {
        if secret {
            return format!("{key}: cannot be used");
        }
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        format!("{key}: {}", line.strip_prefix("error: ").unwrap_or(line))
    })
}

fn unknown(key: &str, options: &[&Arg]) -> String {
    let names = options.iter().filter_map(|option| option.get_long());
    // A part of a name is nearer than a name that is merely short.
    let nearest = names.min_by_key(|name| (!name.contains(key), distance(key, name))).unwrap_or_default();
    format!("there is no option `{key}`; the nearest is `{nearest}`")
}

/// How many signs must be put in, left out or changed to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, sign) in one.chars().enumerate() {
        let mut next = vec![place + 1];
        for ((own, above), beside) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((above + usize::from(*own != sign)).min(beside + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// Each option with its value and its source. Of a secret nothing is shown but that it is set, of the webhook its host.
fn settings(plain: &Command, serve: &ArgMatches, named: &BTreeSet<String>) -> String {
    let all =
        plain.find_subcommand(SERVE).map(|own| own.get_arguments().filter(|arg| arg.get_long().is_some()));
    let one = |arg: &Arg| {
        let id = arg.get_id().as_str();
        let value = serve.get_raw(id)?.next()?.to_string_lossy().into_owned();
        let value = match (id, arg.is_hide_env_values_set()) {
            (WEBHOOK, _) => horn::shown(&value),
            (_, true) => "set".to_owned(),
            (_, false) => value,
        };
        let source = match serve.value_source(id)? {
            ValueSource::CommandLine => "flag",
            ValueSource::EnvVariable => "environment",
            _ if named.contains(id) => "file",
            _ => "default",
        };
        Some(format!("{}={value} ({source})", arg.get_long()?))
    };
    all.into_iter().flatten().filter_map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;
    use clap::CommandFactory;

    #[test]
    fn every_option_has_its_variable_and_the_data_directory_is_the_same_everywhere() {
        let command = with_environment(Cli::command());
        let serve = command.find_subcommand(SERVE).unwrap();
        for arg in serve.get_arguments() {
            let variable = arg.get_env().unwrap().to_str().unwrap();
            assert_eq!(
                variable,
                format!("CITY_{}", arg.get_long().unwrap().replace('-', "_").to_uppercase())
            );
        }
        let inspect = command.find_subcommand("inspect").unwrap();
        assert_eq!(inspect.get_arguments().next().unwrap().get_env(), Some("CITY_DATA".as_ref()));
    }

    #[test]
    fn a_key_nobody_knows_is_told_with_the_nearest_one() {
        let plain = Cli::command();
        for (key, nearest) in [
            ("capcity", "capacity"),
            ("log_level", "log-level"),
            ("webhook", "alerts-webhook"),
            ("listn", "listen"),
        ] {
            assert!(unknown(key, &options(&plain)).ends_with(&format!("`{nearest}`")), "{key}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn what_excludes_each_other_does_so_across_the_sources() {
        let option = |name: &'static str| Arg::new(name).long(name);
        let serve = Command::new(SERVE).args([option("real"), option("simulated").conflicts_with("real")]);
        let plain = Command::new("city").subcommand(serve);
        let path = std::env::temp_dir().join(format!("city-config-{}.toml", std::process::id()));
        let read = |text: &str, flags: &[&str]| {
            std::fs::write(&path, text).unwrap();
            let flags: Vec<&str> = ["city", SERVE].iter().chain(flags).copied().collect();
            let given = plain.clone().try_get_matches_from(&flags).unwrap();
            let (command, _) = with_file(plain.clone(), &plain, Some(&given), &path)?;
            let all = command.try_get_matches_from(&flags).unwrap();
            let serve = all.subcommand_matches(SERVE).unwrap();
            let value = |name| serve.get_one::<String>(name).cloned().unwrap_or_default();
            Ok::<_, String>((value("real"), value("simulated")))
        };
        let both = |real: &str, simulated: &str| Ok((real.to_owned(), simulated.to_owned()));
        assert_eq!(read("simulated = 's'", &[]), both("", "s"));
        assert_eq!(read("simulated = 's'", &["--real=r"]), both("r", ""), "the flag wins");
        assert_eq!(read("real = 'r'", &["--simulated=s"]), both("", "s"));
        assert!(read("real = 'r'\nsimulated = 's'", &[]).unwrap_err().contains("exclude each other"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        fn walk(command: &Command) {
            let subcommands: Vec<&Command> = command.get_subcommands().collect();
            let shown = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(!subcommands.is_empty() || shown.contains(&format!("{name} ")), "{name}: {shown}");
            subcommands.into_iter().for_each(walk);
        }
        walk(&Cli::command());
    }
}
