//! The examples do what their first lines say: each is run, and what it prints and how it ends is compared with `examples/expected/`.

mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

trials!(
    lecture,
    c_runtime,
    many_senders,
    pass_a_listener,
    pipeline,
    spawn_worker,
    select_children,
    other_reactor,
    key_value,
    key_value_explains_itself,
    key_value_refuses_a_number_of_clients_that_it_cannot_have,
    privilege_separation,
    quickstart_counts_this_project,
    quickstart_explains_itself,
    quickstart_refuses_unknown_options,
    quickstart_names_what_it_cannot_read_and_counts_the_rest,
    quickstart_counts_as_wc_does,
);

fn lecture() {
    check("lecture", &mut example("lecture"), "");
}

fn c_runtime() {
    check("c_runtime", &mut example("c_runtime"), "");
}

fn many_senders() {
    check("many_senders", &mut example("many_senders"), "");
}

fn pass_a_listener() {
    check("pass_a_listener", &mut example("pass_a_listener"), "");
}

fn pipeline() {
    check("pipeline", &mut example("pipeline"), "");
}

fn spawn_worker() {
    check("spawn_worker", &mut example("spawn_worker"), "");
}

fn select_children() {
    check("select_children", &mut example("select_children"), "");
}

fn other_reactor() {
    check("other_reactor", &mut example("other_reactor"), "");
}

fn key_value() {
    check("key_value", &mut example("key_value"), "");
}

fn key_value_explains_itself() {
    check("key_value_help", example("key_value").arg("--help"), "");
}

fn key_value_refuses_a_number_of_clients_that_it_cannot_have() {
    check("key_value_option", example("key_value").args(["--clients", "0"]), "");
}

fn privilege_separation() {
    check("privilege_separation", &mut example("privilege_separation"), "");
}

fn quickstart_counts_this_project() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What it says must not depend on where it is run.
    check("quickstart", example("quickstart").current_dir("/"), &table(project, &["README.md", "CHANGELOG.md"]));
}

fn quickstart_explains_itself() {
    check("quickstart_help", example("quickstart").arg("--help"), "");
}

fn quickstart_refuses_unknown_options() {
    check("quickstart_option", example("quickstart").arg("--words"), "");
}

fn quickstart_names_what_it_cannot_read_and_counts_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("one"), "one two\nthree").unwrap();
    fs::create_dir(directory.path().join("directory")).unwrap();
    fs::write(directory.path().join("two"), "").unwrap();
    let mut quickstart = example("quickstart");
    check("quickstart_bad_file", quickstart.current_dir(directory.path()).args(["one", "missing", "directory", "two"]), "");
}

fn quickstart_counts_as_wc_does() {
    const SEED: u64 = 0x5eed_0001;
    println!("seed {SEED:#x}");
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random(SEED);
    let alphabets: [&[u8]; 3] =
        [b"ab \n", b"a \t\n\x0b\x0c\r\0\x01\x7f\x80\xa0\xff", &std::array::from_fn::<u8, 256, _>(|byte| byte as u8)];
    // Around the size of a buffer, and of a column.
    let sizes = [0, 1, 2, 9, 10, 99, 100, 5_000, 65_535, 65_536, 65_537, 300_000];
    let mut names = Vec::new();
    for (alphabet, &size) in alphabets.iter().flat_map(|alphabet| sizes.iter().map(move |size| (alphabet, size))) {
        let name = format!("file {}", names.len());
        let bytes: Vec<u8> = (0..size).map(|_| alphabet[random.below(alphabet.len())]).collect();
        fs::write(directory.path().join(&name), bytes).unwrap();
        names.push(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let alone = names.chunks(1).map(<[_]>::to_vec);
    let mixed = (0..20).map(|_| (0..2 + random.below(3)).map(|_| names[random.below(names.len())]).collect());
    let selections: Vec<Vec<&str>> = alone.chain(mixed).chain([names.clone()]).collect();

    let wc_is_comparable = wc_is_comparable();
    for selection in selections {
        let output = example("quickstart").current_dir(directory.path()).args(&selection).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let table = table(directory.path(), &selection);
        assert!(said.starts_with(&table), "{selection:?}: expected\n{table}but it said\n{said}");
        assert_eq!(said.lines().count(), table.lines().count() + 2, "{said}");
        if wc_is_comparable {
            let wc = wc().current_dir(directory.path()).args(&selection).output().unwrap();
            assert_eq!(table, String::from_utf8(wc.stdout).unwrap(), "this test disagrees with wc on {selection:?}");
        }
    }
}

/// The command that runs an example, which cargo has built beside this test.
fn example(name: &str) -> Command {
    let this = env::current_exe().unwrap();
    let built: PathBuf = this.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST").join("examples").join(name);
    assert!(built.exists(), "{} is not there: `cargo build --examples --all-features` builds it", built.display());
    let mut command = Command::new(built);
    command.stdin(Stdio::null());
    command
}

/// Runs the command and compares with the expected files, in which `{table}` stands for what is not known in advance.
#[track_caller]
fn check(name: &str, command: &mut Command, table: &str) {
    let output = command.output().unwrap();
    let status = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
    let said = [("stdout", output.stdout), ("stderr", output.stderr), ("status", format!("{status}\n").into_bytes())];
    for (what, said) in said {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/expected/{name}.{what}"));
        let expected = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).replace("{table}\n", table);
        let said = String::from_utf8_lossy(&said);
        assert!(said == expected, "{} says\n{expected}\nbut it was\n{said}", file.display());
    }
}

/// What `wc` prints for these files in the C locale, told without counting byte by byte.
fn table(directory: &Path, names: &[&str]) -> String {
    let files: Vec<Vec<u8>> = names.iter().map(|name| fs::read(directory.join(name)).unwrap()).collect();
    let width = files.iter().map(Vec::len).sum::<usize>().to_string().len();
    let mut total = [0; 3];
    let mut table = String::new();
    for (bytes, name) in files.iter().zip(names) {
        let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
        let words = bytes.split(is_space).filter(|word| word.iter().any(u8::is_ascii_graphic)).count();
        let counts = [bytes.split(|byte| *byte == b'\n').count() - 1, words, bytes.len()];
        total = std::array::from_fn(|column| total[column] + counts[column]);
        table += &row(counts, width, name);
    }
    if names.len() > 1 {
        table += &row(total, width, "total");
    }
    table
}

fn row([lines, words, bytes]: [usize; 3], width: usize, name: &str) -> String {
    format!("{lines:>width$} {words:>width$} {bytes:>width$} {name}\n")
}

fn wc() -> Command {
    let mut wc = Command::new("wc");
    wc.env("LC_ALL", "C");
    wc
}

/// Whether there is a `wc` that makes no word of an unprintable byte, as that of coreutils 9.1; other versions differ in this.
fn wc_is_comparable() -> bool {
    let directory = tempfile::tempdir().unwrap();
    let unprintable = directory.path().join("unprintable");
    fs::write(&unprintable, b"\x01 \xff\n").unwrap();
    match wc().arg("-w").arg(&unprintable).output() {
        Ok(output) if output.stdout.starts_with(b"0 ") => true,
        Ok(_) => {
            println!("skipped: this `wc` counts words of unprintable bytes");
            false
        }
        Err(error) => {
            println!("skipped: wc: {error}");
            false
        }
    }
}

/// xorshift64, by Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
