//! The live table as text: nothing is read here and nothing printed.

/// One macro as the table shows it. `None` is unknown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) base: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) state: String,
    /// Percent of one core.
    pub(crate) cpu: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) age_s: Option<f64>,
    pub(crate) plot: &'static str,
}

/// A metric of the host and its bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauge {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: Option<f64>,
    /// None if there is no limit on it.
    pub(crate) bound: Option<f64>,
}

/// Lines that are each at most `columns` wide.
pub(crate) fn render(columns: usize, gauges: &[Gauge], rows: &[Row]) -> Vec<String> {
    let mut lines = vec![String::new()];
    let gauge = |g: &Gauge| format!("{} {}/{}{}", g.name, number(g.value, 0), number(g.bound, 0), g.unit);
    lines.push(gauges.iter().map(gauge).collect::<Vec<_>>().join("   "));
    lines.push(format!(
        "{:<8}{:<8}{:<9}{:<14}{:>6}{:>9}{:>7}  {}",
        "macro", "extends", "runs as", "state", "CPU %", "MiB", "s", "what it does"
    ));
    for row in rows {
        lines.push(format!(
            "{:<8}{:<8}{:<9}{:<14}{:>6}{:>9}{:>7}  {}",
            row.name,
            row.base,
            row.kind,
            row.state,
            number(row.cpu, 0),
            number(row.memory_bytes.map(|b| b as f64 / 1_048_576.0), 0),
            number(row.age_s, 1),
            row.plot,
        ));
    }
    for line in &mut lines {
        fit(line, columns);
    }
    lines
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.decimals$}"))
}

/// Cuts to a width. Everything shown is ASCII, so a character is a column; should a name ever not be, the
/// cut still falls between characters.
fn fit(line: &mut String, columns: usize) {
    if let Some((at, _)) = line.char_indices().nth(columns) {
        line.truncate(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(columns: usize) -> Vec<String> {
        let gauge = Gauge { name: "CPU", unit: "%", value: Some(12.34), bound: Some(61.2) };
        let unknown = Gauge { name: "latency", unit: "ms", value: None, bound: None };
        let row = Row {
            name: "farm",
            base: "craft",
            kind: "process",
            state: "STILL RUNNING".to_owned(),
            cpu: Some(199.6),
            memory_bytes: Some(1 << 30),
            age_s: Some(12.34),
            plot: "spins on every core",
        };
        render(columns, &[gauge, unknown], &[row.clone(), Row { name: "heal", ..Row::default() }, row])
    }

    #[test]
    fn values_stand_in_their_columns() {
        let lines = lines(200);
        assert_eq!(lines[1], "CPU 12/61%   latency -/-ms");
        assert_eq!(
            lines[3],
            "farm    craft   process  STILL RUNNING    200     1024   12.3  spins on every core"
        );
        assert!(lines[4].starts_with("heal") && lines[4].contains('-'), "{}", lines[4]);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [1, 7, 40, 80] {
            assert!(lines(columns).iter().all(|l| l.chars().count() <= columns), "{columns}");
        }
    }
}
