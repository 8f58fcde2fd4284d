//! `[attention]` of the file: the numbers of the rules, for all and by pattern.
//!
//! ```toml
//! [attention]
//! growing_min = 5000
//!
//! [[attention.override]]
//! match = "*/transcode"
//! stalled_hold_s = 1800
//! mute = ["redelivered"]
//! ```

use nsq_flags::{Table, Toml};

use crate::attention::thresholds::{Override, Policy};
use crate::attention::{KNOBS, RULES};

/// The policy of a table. Unlike an unknown option, an unknown key is refused: a rule that is not as the operator
/// believes is found out when it should have spoken.
pub(super) fn policy(table: Option<&Table>) -> Result<Policy, String> {
    let mut policy = Policy::default();
    for (key, value) in table.into_iter().flatten() {
        if key == "override" {
            let overrides =
                value.as_array().ok_or("attention.override: write it as [[attention.override]]")?;
            policy.overrides = overrides
                .iter()
                .enumerate()
                .map(|(index, one)| over(index, one))
                .collect::<Result<_, _>>()?;
        } else {
            policy.thresholds.set(key, number("attention", key, value)?);
        }
    }
    Ok(policy)
}

fn over(index: usize, value: &Toml) -> Result<Override, String> {
    let place = format!("attention.override {}", index + 1);
    let table = value.as_table().ok_or_else(|| format!("{place}: must be a table"))?;
    let mut one = Override { pattern: String::new(), numbers: Vec::new(), mute: Vec::new() };
    for (key, value) in table {
        match key.as_str() {
            "match" => {
                value
                    .as_str()
                    .ok_or_else(|| format!("{place}: match must be a text"))?
                    .clone_into(&mut one.pattern);
            }
            "mute" => one.mute = rules(&place, value)?,
            _ => one.numbers.push((key.clone(), number(&place, key, value)?)),
        }
    }
    if one.pattern.is_empty() {
        return Err(format!("{place}: match is missing, as in match = \"orders/*\""));
    }
    Ok(one)
}

fn rules(place: &str, value: &Toml) -> Result<Vec<String>, String> {
    let words = value.as_array().ok_or_else(|| format!("{place}: mute must be a list of rules"))?;
    let rule = |word: &Toml| {
        let word = word.as_str().unwrap_or_default();
        let is_known = word == "*" || RULES.iter().any(|rule| rule.name == word);
        is_known
            .then(|| word.to_owned())
            .ok_or_else(|| format!("{place}: there is no rule {word:?}; /help lists them"))
    };
    words.iter().map(rule).collect()
}

fn number(place: &str, key: &str, value: &Toml) -> Result<f64, String> {
    if !KNOBS.iter().any(|knob| knob.key == key) {
        return Err(format!("{place}: there is no number {key}; /help lists them"));
    }
    let number = match value {
        Toml::Integer(number) => Some(*number as f64),
        Toml::Float(number) => Some(*number),
        _ => None,
    };
    number
        .filter(|number| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| format!("{place}: {key} must be a number of at least 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Policy, String> {
        policy(Some(&text.parse().unwrap()))
    }

    #[test]
    fn numbers_and_overrides_reach_the_rules() {
        let policy = of("growing_min = 5\n[[override]]\nmatch = \"*/slow\"\nstalled_hold_s = 1800.5\nmute = [\"redelivered\"]")
            .unwrap();
        assert_eq!(policy.thresholds.growing_min, 5.0);
        assert_eq!(policy.thresholds("t/slow").stalled_hold_s, 1800.5);
        assert_eq!(policy.thresholds("t/fast").stalled_hold_s, 150.0);
        assert!(policy.muted("redelivered", "t/slow") && !policy.muted("redelivered", "t/fast"));
        assert_eq!(super::policy(None).unwrap(), Policy::default());
    }

    #[test]
    fn what_no_rule_has_is_refused() {
        for text in [
            "growing_mim = 5",
            "growing_min = \"5\"",
            "growing_min = -1",
            "override = 1",
            "[[override]]\nstalled_hold_s = 1",
            "[[override]]\nmatch = \"*\"\nmute = [\"never\"]",
            "[[override]]\nmatch = \"*\"\nmute = 1",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
