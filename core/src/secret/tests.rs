//! What is hidden and what is left.

use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;

fn args(line: &[&str]) -> Vec<String> {
    mask_args(line)
}

#[test]
fn option_values_are_hidden_and_the_rest_is_left() {
    for (given, shown) in [
        (&["run", "--password=hunter2", "-v"][..], &["run", "--password=***", "-v"][..]),
        (&["run", "--token", "abc", "file"], &["run", "--token", "***", "file"]),
        (&["run", "--token", "--password", "x", "y"], &["run", "--token", "***", "***", "y"]),
        (&["run", "--apiKey=a b c"], &["run", "--apiKey=***"]),
        (&["run", "--client-secret", "-dash"], &["run", "--client-secret", "***"]),
        (&["env", "DB_PASSWORD=x=y", "LANG=C"], &["env", "DB_PASSWORD=***", "LANG=C"]),
        (&["run", "--password"], &["run", "--password"]),
        (
            &["run", "--keyboard", "us", "--max-tokens", "5"],
            &["run", "--keyboard", "us", "--max-tokens", "5"],
        ),
        (&["run", "--hotkey", "F5", "--monkey=1"], &["run", "--hotkey", "F5", "--monkey=1"]),
        (&["/usr/bin/mysql", "-phunter2", "-u", "root"], &["/usr/bin/mysql", "-p***", "-u", "root"]),
        (&["cp", "-preserve", "a"], &["cp", "-preserve", "a"]),
        (&["curl", "-u", "me:pw", "x"], &["curl", "-u", "me:***", "x"]),
        (&["curl", "-ume:pw", "--user=me:pw"], &["curl", "-ume:***", "--user=me:***"]),
        (&["sshpass", "-p", "pw", "ssh", "host"], &["sshpass", "-p", "***", "ssh", "host"]),
        (&["curl", "-H", "Authorization: Bearer abc"], &["curl", "-H", "Authorization: ***"]),
        (&["curl", "-H", "X-Api-Key:abc"], &["curl", "-H", "X-Api-Key:***"]),
        (&["curl", "-H", "Accept: text/html"], &["curl", "-H", "Accept: text/html"]),
        (&[], &[]),
    ] {
        assert_eq!(args(given), shown, "{given:?}");
    }
}

#[test]
fn secrets_inside_a_text_are_hidden() {
    for (given, shown) in [
        ("export TOKEN=abc; run --password x --fast", "export TOKEN=***; run --password *** --fast"),
        ("https://me:pw@host/x?y=1", "https://me:***@host/x?y=1"),
        ("postgres://u:p/w@d@host:5432/db", "postgres://u:***@host:5432/db"),
        ("https://deadbeef@host/x", "https://***@host/x"),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("https://h/?api_key=abc&page=2", "https://h/?api_key=***&page=2"),
        ("Server=h;Password=ab;X=1", "Server=h;Password=***;X=1"),
        (r#"{"password": "a\"b", "user": "me"}"#, r#"{"password": "***", "user": "me"}"#),
        (r#"{"user":"me","token":12}"#, r#"{"user":"me","token":***}"#),
        ("say bearer abcdef", "say bearer ***"),
        ("id AKIAABCDEFGHIJKLMNOP end", "id *** end"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123", "***"),
        ("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/***"),
        ("C:\\keys: 5", "C:\\keys: ***"),
        ("12:30:45 all is well", "12:30:45 all is well"),
        ("größe=5 schlüssel=ß", "größe=5 schlüssel=ß"),
        ("task-runner-with-a-very-long-name", "task-runner-with-a-very-long-name"),
        ("a-----BEGIN RSA PRIVATE KEY-----\nMIIE", "a***"),
    ] {
        assert_eq!(mask_text(given), shown, "{given}");
    }
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    assert_eq!(mask_text(token), MASK);
}

#[test]
fn what_is_masked_stays_as_it_is() {
    // Hidden parts that overlap: once they are gone, more belongs to the value.
    let odd = "/usr/bin/m_KEY=L=mysql://u:p@h;d(PW@h://u/@h;d(PWD=/srv";
    assert_eq!(mask_text(odd), "/usr/bin/m_KEY=***;d(PWD=***");
    assert_eq!(mask_text(&mask_text(odd)), mask_text(odd));
}

#[test]
fn an_environment_is_hidden_by_name_and_by_content() {
    let env = [
        ("AWS_SECRET_ACCESS_KEY", "abc"),
        ("DATABASE_URL", "mysql://u:p@h/d"),
        ("PWD", "/srv/me"),
        ("EMPTY_TOKEN", ""),
        ("PATH", "/bin:/usr/bin"),
        ("HALTLINE_DISCORD_WEBHOOK", "https://discord.com/api/webhooks/1/abc"),
    ];
    let shown: Vec<String> = mask_env(env).into_iter().map(|(_, v)| v).collect();
    let hook = "https://discord.com/api/webhooks/***";
    assert_eq!(shown, [MASK, "mysql://u:***@h/d", "/srv/me", "", "/bin:/usr/bin", hook]);
}

#[cfg(unix)]
#[test]
fn text_that_is_not_utf8_is_shown_lossily_and_still_masked() {
    use std::os::unix::ffi::OsStrExt;
    let given =
        [OsStr::from_bytes(b"run"), OsStr::from_bytes(b"\xff\xfe"), OsStr::from_bytes(b"--token=\xff")];
    assert_eq!(mask_args(&given), ["run", "\u{fffd}\u{fffd}", "--token=***"]);
}

#[test]
fn a_hostile_argument_costs_no_square_of_its_length() {
    let start = std::time::Instant::now();
    for piece in ["key:", "://", "key=", "--key ", "a:b@://", "\"key\":\"", "eyJ.", "\\"] {
        let _ = mask_args(&["run", &piece.repeat(131_072 / piece.len())]);
    }
    assert!(start.elapsed().as_secs() < 20);
}

proptest! {
    #[test]
    fn no_text_panics_and_a_named_password_never_shows(text in ".{0,80}", odd in "[-a-zß=:/@\"' \\\\]{0,60}") {
        let _ = mask_text(&text);
        let _ = mask_args(&["mysql", &odd, &text]);
        let _ = mask_args(&[&text, &odd]);
        let secret = "Zq7Zq7Zq7";
        let shown = mask_args(&["run", &text, &odd, &format!("--password={secret}"), "--token", secret]);
        prop_assert!(!shown.concat().contains(secret));
    }
}
