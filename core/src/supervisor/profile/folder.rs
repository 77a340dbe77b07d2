//! Reads the profile files of a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::builder::name_fault;
use super::document;
use super::inherit::Sheet;
use crate::error::{Error, ErrorKind, Result};

/// The largest file that can be a profile, in bytes.
const LARGEST: u64 = 1 << 20;

/// All profile files of `folder` by name. Hidden files, folders, and files that do not end in `.json`, in capitals or
/// not, are left out.
pub(super) fn read(folder: &Path) -> Result<BTreeMap<String, Sheet>> {
    let failed = |e| Error::io(format_args!("reading the profile folder {}", folder.display()), e);
    let mut sheets: BTreeMap<String, Sheet> = BTreeMap::new();
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    // So that of several bad files always the same one is named.
    paths.sort_unstable();
    for path in paths {
        let hidden = path.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
        if hidden || path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("json")) {
            continue;
        }
        let label = path.display().to_string();
        let metadata = fs::metadata(&path).map_err(|e| Error::io(format_args!("reading {label}"), e))?;
        if !metadata.is_file() {
            continue;
        }
        let name = path
            .file_stem()
            .and_then(|s| s.to_str())
            .ok_or_else(|| refused(format!("{label}: the name of a profile file must be UTF-8")))?;
        if let Some(fault) = name_fault(name) {
            return Err(refused(format!("{label}: {fault}")));
        }
        if let Some(other) = sheets.get(name) {
            let message =
                format!("{label}: the profile {name:?} is in {} too; keep one of the two", other.label);
            return Err(refused(message));
        }
        let text = text_of(&path, &label)?;
        let document = document::read(&label, &text)?;
        sheets.insert(name.to_owned(), Sheet { label, document });
    }
    Ok(sheets)
}

fn text_of(path: &Path, label: &str) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|f| f.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|e| Error::io(format_args!("reading {label}"), e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(refused(format!("{label}: larger than 1 MiB, which no profile is")));
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        refused(format!("{label}: not UTF-8 text: byte {at} is wrong"))
    })
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidProfile, message)
}
