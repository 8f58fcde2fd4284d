//! Versions of daemons, ordered.

/// Major, minor, patch, and the text behind a `-`. What cannot be read is 0.0.0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    pre_release: String,
}

impl Version {
    /// Reads `1.3.0` or `1.3.1-alpha+build`, with or without a `v` in front. Build metadata does not count.
    pub fn parse(text: &str) -> Self {
        Self::read(text).unwrap_or_default()
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let (numbers, pre_release) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = numbers.split('.').map(|part| part.parse().ok());
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        if parts.next().is_some() {
            return None;
        }
        Some(Self { numbers, pre_release: pre_release.to_owned() })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            // A release is newer than what was tried before it.
            let (ours, theirs) = (self.pre_release.is_empty(), other.pre_release.is_empty());
            ours.cmp(&theirs).then_with(|| pre_releases(&self.pre_release, &other.pre_release))
        })
    }
}

/// Identifier by identifier: numbers by value and below words.
fn pre_releases(ours: &str, theirs: &str) -> std::cmp::Ordering {
    let key = |part: &str| match part.parse::<u64>() {
        Ok(number) => (0, number, String::new()),
        Err(_) => (1, 0, part.to_owned()),
    };
    ours.split('.').map(key).cmp(theirs.split('.').map(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_semver_orders_them() {
        let sorted = [
            "nonsense",
            "0.3.8",
            "1.2.1",
            "1.3.0-alpha",
            "1.3.0-alpha.2",
            "1.3.0-alpha.10",
            "1.3.0",
            "1.10.0",
        ];
        for pair in sorted.windows(2) {
            assert!(Version::parse(pair[0]) < Version::parse(pair[1]), "{pair:?}");
        }
        assert_eq!(Version::parse("v1.3.0+linux"), Version::parse("1.3.0"));
        assert_eq!(Version::parse("1.3"), Version::parse("0.0.0"));
    }
}
