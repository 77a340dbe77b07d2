//! Follows `extends` to the settings of a profile.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Document, fault};
use super::{Profile, Settings, builtin, value};
use crate::error::Result;

/// A document and the name that errors give it.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) label: String,
    pub(super) document: Document,
}

/// Longer than any chain that people keep in their heads; it bounds the work for a hostile folder.
const LONGEST_CHAIN: usize = 32;

/// The profile that `name`, one of `sheets`, makes.
///
/// A parent is, in this order: a profile of `code`, a sheet, a built-in. A sheet that extends its own name extends
/// the built-in of that name.
pub(super) fn resolve(
    name: &str,
    sheets: &BTreeMap<String, Sheet>,
    code: &BTreeMap<String, Profile>,
) -> Result<Profile> {
    let mut chain: Vec<(&str, &Sheet)> = Vec::new();
    let mut base = None;
    let mut next = sheets.get_key_value(name);
    while let Some((own, sheet)) = next {
        chain.push((own, sheet));
        let Some(parent) = sheet.document.extends.as_deref() else { break };
        let refused = |message: String| Err(fault(&sheet.label, "extends", &message));
        let known = if parent == own { None } else { code.get(parent).cloned() };
        next = None;
        if let Some(profile) = known {
            base = Some(profile);
        } else if parent != own && sheets.contains_key(parent) {
            if let Some(at) = chain.iter().position(|(n, _)| *n == parent) {
                let path: Vec<&str> = chain[at..].iter().map(|(n, _)| *n).chain([parent]).collect();
                return refused(format!("{} goes round in a circle", path.join(" -> ")));
            }
            if chain.len() == LONGEST_CHAIN {
                return refused(format!("the chain from {name:?} is longer than {LONGEST_CHAIN} profiles"));
            }
            next = sheets.get_key_value(parent);
        } else if let Some(profile) = builtin::get(parent) {
            base = Some(profile);
        } else if parent == own {
            return refused(format!(
                "{own} -> {own} goes round in a circle, as no built-in profile has this name"
            ));
        } else {
            let known = sheets.keys().chain(code.keys()).map(String::as_str).chain(builtin::NAMES);
            return refused(format!("no profile is named {parent:?}{}", value::meant(parent, known)));
        }
    }
    let mut settings = Settings::under(name, base.as_ref().map(|b| &*b.0));
    for change in chain.iter().rev().flat_map(|(_, sheet)| &sheet.document.changes) {
        change.apply(&mut settings);
    }
    Ok(Profile(Arc::new(settings)))
}
