//! What `--help` and `--version` print.

use std::io::Write;

pub(crate) const VERSION: &str = concat!("supervise (haltline) ", env!("CARGO_PKG_VERSION"), "\n");

pub(crate) const TEXT: &str = "\
Usage: supervise [OPTION]... [--] COMMAND [ARG]...

Runs COMMAND, stops its whole process tree when a limit breaks, and verifies the stop.
Options end at the first word that is not one.

  --profile NAME        start from this profile: attack, buff, craft, dance, heal, travel,
                        or one of the folder; without it only the limits given here hold
  --profiles DIR        read profiles from this folder, one JSON file each
  --max-duration D      longest run, such as 90s, 5m, or a number of seconds
  --max-cpu-percent N   processor use of the tree; 100 is one core
  --max-cpu-seconds N   processor time of the tree in all
  --max-memory-mib N    memory of the tree
  --max-processes N     processes of the tree at one time
  --max-output-mib N    bytes written to standard output and standard error together
  --sustain D           how long the processor use must stay too high (3s)
  --grace D             how long the tree may take to leave after SIGTERM (5s)
  --incidents FILE      append what happened to this file, one JSON line an incident
  --observe             record what would be cancelled, and cancel nothing for a limit; what
                        COMMAND leaves behind is still stopped, and a killed guardian still ends it
  --quiet               say nothing but errors
  --help, --version

Exit status: that of COMMAND, or 128+N if signal N ended it;
  124  cancelled, and left in its grace
  137  cancelled and killed
  125  supervise itself failed, the tree was not seen to stop, its guardian was killed,
       or output that --max-output-mib counts could not be written
  126  COMMAND cannot be executed
  127  COMMAND was not found
SIGINT, SIGTERM and SIGHUP stop the tree, and the status is 128+N. A second SIGINT kills at once.
Processes that outlive COMMAND are stopped and named; the status stays that of COMMAND,
unless they do not leave.
";

/// Returns the exit status.
pub(crate) fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        // Whoever closed the pipe has read enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(e) => {
            crate::report::say(&format!("cannot write to standard output: {e}"));
            crate::status::OWN_ERROR
        }
    }
}
