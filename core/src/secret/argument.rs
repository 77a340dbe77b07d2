//! Secrets in the arguments and the environment of a command.

use std::ffi::OsStr;

use super::name::{is_name_char, is_secret_name};
use super::{MASK, mask_text};

/// The arguments of a command, the program first, with secrets replaced by [`MASK`].
///
/// Hidden are: the value of an option or assignment whose name looks secret (`--token x`, `--password=x`, `KEY=x`), also
/// inside a shell line or JSON within one argument; headers such as `Authorization`; passwords in addresses and
/// after `-u user:`; webhook addresses; and the known shapes of access keys.
pub(crate) fn mask_args<S: AsRef<OsStr>>(args: &[S]) -> Vec<String> {
    let program = args.first().map(|a| a.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
    let program = program.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let mut hide_next = Next::Show;
    let mut masked = Vec::with_capacity(args.len());
    for (n, arg) in args.iter().enumerate() {
        let arg = arg.as_ref().to_string_lossy();
        let shown = match hide_next {
            Next::Hide => MASK.to_owned(),
            Next::HidePassword => after_user(&arg),
            Next::Show => mask_arg(&program, n, &arg),
        };
        // Also after a hidden value: `--token --password x` must not show x.
        hide_next = if n == 0 { Next::Show } else { expects(&program, &arg) };
        masked.push(shown);
    }
    masked
}

/// An environment with secrets replaced by [`MASK`]: whole values under names that look secret, parts of others.
pub(crate) fn mask_env<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    env: impl IntoIterator<Item = (K, V)>,
) -> Vec<(String, String)> {
    env.into_iter()
        .map(|(name, value)| {
            let name = name.as_ref().to_string_lossy().into_owned();
            let value = value.as_ref().to_string_lossy();
            let harmless = value.is_empty() || matches!(name.as_str(), "PWD" | "OLDPWD");
            let value = match is_secret_name(&name) && !harmless {
                true => MASK.to_owned(),
                false => mask_text(&value),
            };
            (name, value)
        })
        .collect()
}

/// What the argument after an option holds.
enum Next {
    Show,
    Hide,
    /// `user:password`.
    HidePassword,
}

fn expects(program: &str, option: &str) -> Next {
    if !option.starts_with('-') || !option.chars().all(is_name_char) {
        return Next::Show;
    }
    match (program, option) {
        (_, "-u" | "--user" | "-U" | "--proxy-user") => Next::HidePassword,
        ("sshpass", "-p") | ("redis-cli", "-a") => Next::Hide,
        _ if is_secret_name(option.trim_start_matches('-')) => Next::Hide,
        _ => Next::Show,
    }
}

fn mask_arg(program: &str, n: usize, arg: &str) -> String {
    let glued = n > 0 && arg.len() > 2 && arg.is_char_boundary(2);
    let takes_password =
        program.starts_with("mysql") || program.starts_with("mariadb") || program == "sshpass";
    if glued && takes_password && arg.starts_with("-p") {
        return format!("-p{MASK}");
    }
    if glued && program == "curl" && arg.starts_with("-u") {
        return format!("-u{}", after_user(&arg[2..]));
    }
    if let Some((name, value)) = arg.split_once('=')
        && matches!(name, "--user" | "--proxy-user")
    {
        return format!("{name}={}", after_user(value));
    }
    // A whole argument is one value: spaces in it end nothing.
    if let Some((name, value)) = arg.split_once('=')
        && !value.is_empty()
        && name.chars().all(is_name_char)
        && is_secret_name(name.trim_start_matches('-'))
    {
        return format!("{name}={MASK}");
    }
    mask_text(arg)
}

/// `user:password` without the password.
fn after_user(text: &str) -> String {
    match text.split_once(':') {
        Some((user, _)) => format!("{user}:{MASK}"),
        None => mask_text(text),
    }
}
