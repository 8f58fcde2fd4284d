//! All options of a daemon, settled.

use std::ffi::OsString;

use toml::{Table, Value as Toml};

use crate::command_line;
use crate::file;
use crate::flag::{Availability, Flag};
use crate::stop::{Program, Stop};
use crate::value::{Rendered, Value};

/// Where a value came from, in falling precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    CommandLine,
    /// The file named by `--config`.
    File,
    /// The table.
    Default,
}

/// The options of a daemon, each with its value. Made once at start; a daemon copies what it needs into its own
/// configuration and keeps this for `/config`.
#[derive(Debug, Clone)]
pub struct Parsed {
    settled: Vec<Settled>,
    /// The tables of the file that the daemon asked for.
    tables: Table,
    warnings: Vec<String>,
}

#[derive(Debug, Clone)]
struct Settled {
    flag: Flag,
    value: Value,
    source: Source,
}

/// Reads the arguments (without the program's name), then the file they name, and settles every option.
///
/// Two flags of the table have a meaning here, if they are in it: `version` ends the start before the file is
/// read, `config` names the file (empty: none). An option that the command line has set is not looked at in the
/// file. Arguments that are not UTF-8 are read with replacement characters.
///
/// # Errors
/// Everything that ends the start; report it with [`Stop::report`] and exit with its code.
pub fn start(
    program: &Program,
    flags: Vec<Flag>,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Parsed, Stop> {
    start_with_tables(program, flags, &[], arguments)
}

/// The same for a daemon that takes whole tables from the file, by [`Parsed::table`]: what is no option of one value
/// each and has no flag.
///
/// # Errors
/// As [`start`].
pub fn start_with_tables(
    program: &Program,
    flags: Vec<Flag>,
    tables: &[&str],
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Parsed, Stop> {
    let arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let given = command_line::parse(program.name, &flags, arguments)?;
    if given_value(&flags, &given, "version") == Some(&Value::Bool(true)) {
        return Err(Stop::Version);
    }
    let (path, table) = match given_value(&flags, &given, "config") {
        Some(Value::Str(path)) if !path.is_empty() => (path.clone(), load(path)?),
        _ => (String::new(), Table::new()),
    };
    let (tables, table) = table
        .into_iter()
        .partition(|(key, value)| tables.contains(&key.as_str()) && matches!(value, Toml::Table(_)));
    Ok(Parsed { tables, ..settle(flags, given, &path, &table)? })
}

fn given_value<'a>(flags: &[Flag], given: &'a command_line::Given, name: &str) -> Option<&'a Value> {
    let index = flags.iter().position(|flag| flag.name == name)?;
    given[index].as_ref()
}

fn load(path: &str) -> Result<Table, Stop> {
    file::read(path).map_err(|error| Stop::Refused(format!("failed to load config file {path} - {error}")))
}

fn settle(flags: Vec<Flag>, given: command_line::Given, path: &str, table: &Table) -> Result<Parsed, Stop> {
    let mut warnings = unknown_keys(&flags, path, table);
    let mut settled = Vec::with_capacity(flags.len());
    for (flag, given) in flags.into_iter().zip(given) {
        let in_file = flag.file_key().and_then(|key| table.get(key.as_ref()));
        let (value, source) = match (given, in_file) {
            (Some(value), _) => (value, Source::CommandLine),
            (None, Some(toml)) => (from_file(&flag, toml, path, &mut warnings)?, Source::File),
            (None, None) => (default_value(&flag), Source::Default),
        };
        settled.push(Settled { flag, value, source });
    }
    Ok(Parsed { settled, tables: Table::new(), warnings })
}

fn default_value(flag: &Flag) -> Value {
    Value::parse_default(flag.kind, &flag.default).expect("invariant: each default of the table can be read")
}

fn from_file(flag: &Flag, toml: &Toml, path: &str, warnings: &mut Vec<String>) -> Result<Value, Stop> {
    let key = flag.file_key().unwrap_or_default();
    let coerced = file::coerce(flag.kind, toml)
        .map_err(|error| Stop::Refused(format!("failed to load config file {path} - {key}: {error}")))?;
    if let Some(warning) = coerced.warning {
        warnings.push(format!("config file {path} - {key}: {warning}"));
    }
    Ok(coerced.value)
}

/// Unknown keys are ignored, since files are shared between versions; but a misspelt option should be seen.
fn unknown_keys(flags: &[Flag], path: &str, table: &Table) -> Vec<String> {
    let known = |key: &str| flags.iter().any(|flag| flag.file_key().as_deref() == Some(key));
    table
        .keys()
        .filter(|key| !known(key))
        .map(|key| format!("config file {path} - {key}: no such option, ignored"))
        .collect()
}

impl Parsed {
    /// A text. Like all getters it panics on a name or type that the table does not have: that is a mistake in
    /// the program, found by its first start.
    pub fn get_str(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Str(text) => text,
            other => wrong_type(name, other),
        }
    }

    /// A boolean.
    pub fn get_bool(&self, name: &str) -> bool {
        match self.value(name) {
            Value::Bool(value) => *value,
            other => wrong_type(name, other),
        }
    }

    /// An integer, a count of bytes, or the number of an enumeration's word.
    pub fn get_int(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Int(value) => *value,
            other => wrong_type(name, other),
        }
    }

    /// A duration in nanoseconds; it may be negative.
    pub fn get_duration_ns(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Duration(ns) => *ns,
            other => wrong_type(name, other),
        }
    }

    /// A list of texts.
    pub fn get_list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Value::List(list) => list,
            other => wrong_type(name, other),
        }
    }

    /// A list of numbers.
    pub fn get_floats(&self, name: &str) -> &[f64] {
        match self.value(name) {
            Value::Floats(floats) => floats,
            other => wrong_type(name, other),
        }
    }

    /// Where the value came from.
    pub fn source(&self, name: &str) -> Source {
        self.settled(name).source
    }

    /// Whether command line or file have set it, be it to its default.
    pub fn is_set(&self, name: &str) -> bool {
        self.source(name) != Source::Default
    }

    /// Whether the value differs from the default of the table.
    pub fn differs_from_default(&self, name: &str) -> bool {
        let settled = self.settled(name);
        settled.value != default_value(&settled.flag)
    }

    /// The value of an option by its key in the file, as `/config/<key>` shows it; `None` for what is no such key.
    pub fn render(&self, key: &str) -> Option<Rendered> {
        let settled = self.settled.iter().find(|s| s.flag.file_key().as_deref() == Some(key))?;
        Some(settled.value.render())
    }

    /// A table of the file, if the daemon asked for it and the file has it.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)?.as_table()
    }

    /// What the operator should know, one sentence each; log them once the log is set up.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Refuses the start if an option whose feature is missing was set to anything but its default. Called after
    /// the daemon's own checks, so that a wrong value is named before a missing feature.
    ///
    /// # Errors
    /// [`Stop::Refused`] with the sentence of the first such option.
    pub fn refuse_unavailable(&self) -> Result<(), Stop> {
        for Settled { flag, .. } in &self.settled {
            if let Availability::NotYet(sentence) = flag.availability
                && self.differs_from_default(flag.name)
            {
                return Err(Stop::Refused(format!("--{} is not available yet: {sentence}", flag.name)));
            }
        }
        Ok(())
    }

    /// One sentence for each option that was set and changes nothing. Who switches off what is not there gets what was
    /// asked for, and no sentence.
    pub fn without_effect(&self) -> impl Iterator<Item = String> {
        self.settled.iter().filter_map(|Settled { flag, value, source }| match flag.availability {
            Availability::NoEffect(sentence)
                if *source != Source::Default && *value != Value::Bool(false) =>
            {
                Some(format!("--{} has no effect: {sentence}", flag.name))
            }
            _ => None,
        })
    }

    /// The durations, by flag, in nanoseconds.
    pub fn durations_ns(&self) -> impl Iterator<Item = (&'static str, i64)> {
        self.settled.iter().filter_map(|settled| match settled.value {
            Value::Duration(ns) => Some((settled.flag.name, ns)),
            _ => None,
        })
    }

    fn settled(&self, name: &str) -> &Settled {
        self.settled
            .iter()
            .find(|settled| settled.flag.name == name)
            .unwrap_or_else(|| panic!("invariant: no flag {name} in the table"))
    }

    fn value(&self, name: &str) -> &Value {
        &self.settled(name).value
    }
}

fn wrong_type(name: &str, value: &Value) -> ! {
    panic!("invariant: flag {name} is read as another type than the table gives it: {value:?}")
}

#[cfg(test)]
mod tests;
