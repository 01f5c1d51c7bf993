//! The tables of README.md and docs/performance.md are what `benches/results/channel.jsonl` says: several runs of
//! `cargo bench --bench channel -- --json`, one behind the other.
//!
//! `BLESS=1 cargo test --test results` writes them afresh.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/channel.jsonl");
/// Makes a table of the results.
type Table = fn(&str) -> Result<String, String>;
const PAGES: [(&str, Table); 2] = [("README.md", table), ("docs/performance.md", every_row)];
const BEGIN: &str = "<!-- made from benches/results/channel.jsonl by tests/results.rs -->\n";
const END: &str = "<!-- end -->";
/// Fewer say too little about how much one run differs from another.
const RUNS: usize = 5;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SIZES: [u64; 8] = [64, KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 64 * MIB];
const TWO: &str = "two cores";

/// What a row of the results is found by: bench, mode, size and body.
type Key<'a> = (&'a str, &'a str, u64, &'a str);

const OTHERS: [(&str, Key<'static>); 11] = [
    ("`Tiny { u64, u32 }` there and back, both awake (`Adaptive`)", ("round_trip_adaptive", TWO, 12, "tiny")),
    ("64 B in four fields there and back, both awake (`Adaptive`)", ("round_trip_adaptive", TWO, 64, "msg64")),
    ("`Bytes` of 64 MiB there and back, in memory made for each", ("round_trip_memory", TWO, 64 * MIB, "bytes")),
    ("a descriptor there and back", ("descriptor", TWO, 4, "descriptor")),
    ("`Tiny` one way, each alone", ("one_way", TWO, 12, "tiny")),
    ("`Tiny` one way, by `send_all`", ("one_way_batch", TWO, 12, "tiny")),
    ("64 B one way, each alone", ("one_way", TWO, 64, "msg64")),
    ("64 B one way, by `send_all`", ("one_way_batch", TWO, 64, "msg64")),
    ("64 B one way, by `buffered()`", ("one_way_buffered", TWO, 64, "msg64")),
    ("an idle channel, both ends: heap", ("idle_channel", "heap", 0, "tiny")),
    ("an idle channel, both ends: kernel", ("idle_channel", "kernel", 0, "tiny")),
];

struct Run {
    /// Where and how it was measured.
    about: Value,
    rows: Vec<Value>,
}

impl Run {
    fn row(&self, (bench, mode, size, body): Key<'_>) -> Option<&Value> {
        self.rows.iter().find(|row| row["bench"] == bench && row["mode"] == mode && row["size"] == size && row["body"] == body)
    }
}

fn runs(results: &str) -> Result<Vec<Run>, String> {
    let mut runs: Vec<Run> = Vec::new();
    for line in results.lines() {
        let mut line: Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
        match (line.get_mut("run"), runs.last_mut()) {
            (Some(about), _) => runs.push(Run { about: about.take(), rows: Vec::new() }),
            (None, Some(run)) => run.rows.push(line),
            (None, None) => return Err("the first line does not say which run it is".into()),
        }
    }
    if runs.len() < RUNS { Err(format!("{} runs, and {RUNS} are needed", runs.len())) } else { Ok(runs) }
}

/// The raw value, ours and the ratio with its spread, over all runs.
fn cells(runs: &[Run], key: Key<'_>) -> Result<String, String> {
    let rows: Option<Vec<&Value>> = runs.iter().map(|run| run.row(key)).collect();
    let rows = rows.ok_or_else(|| format!("a run has no {key:?}"))?;
    let sorted = |name: &str| {
        let values: Option<Vec<f64>> = rows.iter().map(|row| row[name].as_f64()).collect();
        let mut values = values.ok_or_else(|| format!("a run has no {name} of {key:?}"))?;
        values.sort_by(f64::total_cmp);
        Ok::<_, String>(values)
    };
    let (raw, ours, ratio) = (sorted("raw")?, sorted("ours")?, sorted("ratio")?);
    let (middle, last) = (runs.len() / 2, runs.len() - 1);
    let show = if rows[0]["unit"] == "B" { bytes } else { time };
    let (raw, ours) = (show(raw[middle]), show(ours[middle]));
    Ok(format!("{raw} | {ours} | {:.2}× ({:.2}–{:.2})", ratio[middle], ratio[0], ratio[last]))
}

fn bytes(value: f64) -> String {
    format!("{value:.0} B")
}

fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ..1e3 => return format!("{nanoseconds:.0} ns"),
        ..1e6 => (nanoseconds / 1e3, "µs"),
        _ => (nanoseconds / 1e6, "ms"),
    };
    // Three digits.
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

fn size(size: u64) -> String {
    match size {
        0..KIB => format!("{size} B"),
        KIB..MIB => format!("{} KiB", size / KIB),
        _ => format!("{} MiB", size / MIB),
    }
}

/// What all runs have in common in this field.
fn common<'a>(runs: &'a [Run], name: &str) -> Result<&'a Value, String> {
    let value = &runs[0].about[name];
    let same = !value.is_null() && runs.iter().all(|run| run.about[name] == *value);
    if same { Ok(value) } else { Err(format!("the runs do not have one {name}")) }
}

/// Where and how it was measured.
fn about(runs: &[Run]) -> Result<String, String> {
    let text = |name| common(runs, name).and_then(|value| value.as_str().ok_or_else(|| format!("{name} is no text")));
    let (machine, kernel, rustc, command) = (text("machine")?, text("kernel")?, text("rustc")?, text("command")?);
    let dates: BTreeSet<&str> = runs.iter().filter_map(|run| run.about["date"].as_str()).collect();
    let dates = dates.into_iter().collect::<Vec<_>>().join(", ");
    let mut page = format!("{} × {machine}, Linux {kernel}, {rustc}, {dates}. ", common(runs, "cores")?);
    page += &format!("Medians of {} runs of `{command}`; behind a ratio the lowest and the highest of them.\n", runs.len());
    if command.contains("--quick") {
        page += "**These runs were quick ones: numbers of no value.**\n";
    }
    Ok(page)
}

/// What most want to know.
fn table(results: &str) -> Result<String, String> {
    let runs = runs(results)?;
    let mut page = about(&runs)?;
    page += "\n| there and back | raw | `Bytes` | ratio | raw | `Vec<u8>` | ratio |\n|---|---|---|---|---|---|---|\n";
    for bytes in SIZES {
        let [shared, copied] = ["bytes", "vec"].map(|body| cells(&runs, ("round_trip", TWO, bytes, body)));
        writeln!(page, "| {} | {} | {} |", size(bytes), shared?, copied?).map_err(|error| error.to_string())?;
    }
    page += "\n| | raw | breezeway | ratio |\n|---|---|---|---|\n";
    for (name, key) in OTHERS {
        writeln!(page, "| {name} | {} |", cells(&runs, key)?).map_err(|error| error.to_string())?;
    }
    Ok(page)
}

/// Everything, in the order in which it was measured.
fn every_row(results: &str) -> Result<String, String> {
    let runs = runs(results)?;
    let mut page = about(&runs)? + "\n| what | where | message | raw | breezeway | ratio |\n|---|---|---|---|---|---|\n";
    for row in &runs[0].rows {
        let word = |name: &str| row[name].as_str().ok_or_else(|| format!("a row has no {name}: {row}"));
        let (bench, mode, body, bytes) = (word("bench")?, word("mode")?, word("body")?, row["size"].as_u64().unwrap_or(0));
        let message = match body {
            "tiny" if bytes == 0 => "–".into(),
            "tiny" => "`Tiny { u64, u32 }`".into(),
            "msg64" => "64 B: enum of `u64`, `String`, `Vec<u32>`, `Vec<u8>`".into(),
            "bytes" => format!("`Bytes` of {}", size(bytes)),
            "vec" => format!("`Vec<u8>` of {}", size(bytes)),
            other => other.to_owned(),
        };
        writeln!(page, "| `{bench}` | {mode} | {message} | {} |", cells(&runs, (bench, mode, bytes, body))?)
            .map_err(|error| error.to_string())?;
    }
    Ok(page)
}

/// The page with this table in the place of the one that it has.
fn with_table(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[test]
fn the_pages_say_what_was_measured() {
    let results = fs::read_to_string(RESULTS).unwrap();
    for (name, table) in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let page = fs::read_to_string(&path).unwrap();
        let expected = with_table(&page, &table(&results).unwrap()).unwrap_or_else(|| panic!("{name} has no place for the table"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(path, expected).unwrap();
        } else {
            assert!(page == expected, "{name} is not what the results say: BLESS=1 cargo test --test results");
        }
    }
}

/// As many runs as are needed, with all that the table needs, in which ours takes `ours`.
fn planted(ours: u64) -> Vec<String> {
    let keys = SIZES.iter().flat_map(|&size| ["bytes", "vec"].map(|body| ("round_trip", TWO, size, body)));
    let keys: Vec<Key<'_>> = keys.chain(OTHERS.map(|(_, key)| key)).collect();
    let run = |_| {
        let about = r#"{"run":{"machine":"m","cores":2,"kernel":"k","rustc":"r","date":"d","command":"c"}}"#.to_owned();
        let row = |&(bench, mode, size, body): &Key<'_>| {
            serde_json::json!({ "bench": bench, "mode": mode, "size": size, "body": body, "raw": 10, "ours": ours, "ratio": 1.5 })
                .to_string()
        };
        [about].into_iter().chain(keys.iter().map(row)).collect::<Vec<_>>().join("\n")
    };
    (0..RUNS).map(run).collect()
}

#[test]
fn another_result_is_another_table() {
    let (one, other) = (table(&planted(15).join("\n")).unwrap(), table(&planted(16).join("\n")).unwrap());
    assert_ne!(one, other);
    let every = every_row(&planted(15).join("\n")).unwrap();
    assert_eq!(every.lines().filter(|line| line.contains("10 ns | 15 ns | 1.50×")).count(), planted(15)[0].lines().count() - 1, "{every}");
    assert!(one.contains("| 64 MiB | 10 ns | 15 ns | 1.50× (1.50–1.50) | 10 ns | 15 ns | 1.50× (1.50–1.50) |"), "{one}");
    // The median of one run that differs is that of the others; its ratio is the spread's end.
    let mut runs = planted(15);
    runs[0] = planted(1000)[0].replace("1.5", "9.5");
    assert!(table(&runs.join("\n")).unwrap().contains("| 64 B | 10 ns | 15 ns | 1.50× (1.50–9.50) |"));
}

#[test]
fn four_runs_are_refused() {
    assert_eq!(table(&planted(15)[1..].join("\n")).unwrap_err(), "4 runs, and 5 are needed");
}

#[test]
fn a_run_without_a_row_is_refused() {
    for at in [1, planted(15)[2].lines().count() - 1] {
        let mut runs = planted(15);
        let mut lines: Vec<&str> = runs[2].lines().collect();
        lines.remove(at);
        runs[2] = lines.join("\n");
        assert!(table(&runs.join("\n")).unwrap_err().starts_with("a run has no"));
    }
}

#[test]
fn runs_of_two_machines_are_refused() {
    let mut runs = planted(15);
    runs[4] = runs[4].replace(r#""m""#, r#""n""#);
    assert_eq!(table(&runs.join("\n")).unwrap_err(), "the runs do not have one machine");
}

#[test]
fn quick_runs_say_so() {
    let quick = planted(15).join("\n").replace(r#""c""#, r#""c --quick""#);
    assert!(table(&quick).unwrap().contains("numbers of no value") && !table(&planted(15).join("\n")).unwrap().contains("no value"));
}

#[test]
fn times_have_three_digits() {
    assert_eq!([time(82.4), time(5_240.0), time(19_970.0), time(103_100_000.0)], ["82 ns", "5.24 µs", "20.0 µs", "103 ms"]);
    assert_eq!([size(64), size(16 * KIB), size(4 * MIB)], ["64 B", "16 KiB", "4 MiB"]);
}
