//! The files of the pages, in the binary. Each has the hash of its content in its name, so that it may be kept for ever.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// One file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset { name: $name, kind: $kind, text: include_str!(concat!("../../static/", $name)) }
    };
}

const FILES: [Asset; 10] = [
    asset!("app.css", "text/css; charset=utf-8"),
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("chart.js", "text/javascript; charset=utf-8"),
    asset!("counter.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("keys.js", "text/javascript; charset=utf-8"),
    asset!("patch.js", "text/javascript; charset=utf-8"),
    asset!("refresh.js", "text/javascript; charset=utf-8"),
    asset!("table.js", "text/javascript; charset=utf-8"),
    asset!("theme.js", "text/javascript; charset=utf-8"),
];

/// The modules that `app.js` imports. They import each other by plain names, which the server answers too.
const MODULES: [&str; 5] = ["refresh.js", "patch.js", "keys.js", "table.js", "chart.js"];

/// All files, by name and by name with hash.
pub struct Assets {
    hashed: Vec<(&'static str, String)>,
    folder: Option<PathBuf>,
}

/// A file as it is sent.
pub struct Served {
    /// Its content.
    pub text: Cow<'static, str>,
    /// Its `Content-Type`.
    pub kind: &'static str,
    /// Whether its name holds its hash, so that it never changes.
    pub immutable: bool,
}

impl Assets {
    /// The embedded files; with a folder, its files come first (`--dev-static-dir`).
    pub fn new(folder: Option<&Path>) -> Self {
        // All files share one hash, of all of them: modules then import each other by the same hashed names.
        let mut hasher = crc32fast::Hasher::new();
        for file in &FILES {
            hasher.update(file.text.as_bytes());
        }
        let hash = hasher.finalize();
        let hashed = FILES
            .iter()
            .map(|file| {
                let (stem, extension) = file.name.split_once('.').unwrap_or((file.name, ""));
                (file.name, format!("{stem}.{hash:08x}.{extension}"))
            })
            .collect();
        Assets { hashed, folder: folder.map(Path::to_owned) }
    }

    /// The name that pages use.
    pub fn hashed(&self, name: &str) -> &str {
        if self.folder.is_some() {
            return self.hashed.iter().find(|(own, _)| *own == name).map_or("", |(own, _)| own);
        }
        self.hashed.iter().find(|(own, _)| *own == name).map_or("", |(_, hashed)| hashed)
    }

    /// Modules to fetch beside `app.js`.
    pub fn modules(&self) -> impl Iterator<Item = &'static str> {
        MODULES.into_iter()
    }

    /// The file of that name, hashed or plain; none if there is none.
    pub fn get(&self, name: &str) -> Option<Served> {
        self.own(name).or_else(|| self.foreign(name))
    }

    /// A file of the folder that is none of ours. Its name is letters and dots, so that the folder cannot be left.
    fn foreign(&self, name: &str) -> Option<Served> {
        let folder = self.folder.as_ref()?;
        let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.');
        let kind = match name.rsplit_once('.')?.1 {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => return None,
        };
        let text = std::fs::read_to_string(folder.join(is_plain.then_some(name)?)).ok()?;
        Some(Served { text: Cow::Owned(text), kind, immutable: false })
    }

    fn own(&self, name: &str) -> Option<Served> {
        let (own, immutable) = self.hashed.iter().find_map(|(own, hashed)| {
            (*own == name).then_some((*own, false)).or_else(|| (*hashed == name).then_some((*own, true)))
        })?;
        let file = FILES.iter().find(|file| file.name == own)?;
        // The name is one of ours, so the folder cannot be left.
        if let Some(text) =
            self.folder.as_ref().and_then(|folder| std::fs::read_to_string(folder.join(own)).ok())
        {
            return Some(Served { text: Cow::Owned(text), kind: file.kind, immutable: false });
        }
        let mut text = Cow::Borrowed(file.text);
        if immutable && file.name.ends_with(".js") {
            for (plain, hashed) in &self.hashed {
                let (from, to) = (format!("\"./{plain}\""), format!("\"./{hashed}\""));
                if text.contains(&from) {
                    text = Cow::Owned(text.replace(&from, &to));
                }
            }
        }
        Some(Served { text, kind: file.kind, immutable })
    }
}
