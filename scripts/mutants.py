#!/usr/bin/env python3
"""How many of some errors, drawn at random, the tests notice: `make mutants`, or with another draw
`make mutants MUTANTS="--seed 2 --count 100"`.

cargo-mutants lists the errors that it could make: an operator that is another one, a function that returns a constant, a
case that is missing. Compiling one at a time would take a day, so all that are drawn go into one program: in a copy of the
checkout a function becomes `if crate::mutant(7) { its wrong body } else { its body }`, and an environment variable says
which one is wrong. Those that do not compile are replaced by the next of the draw. Then every test that passes and takes
seconds runs with each of them, until one fails or takes far too long."""

import argparse, concurrent.futures, json, os, random, re, shutil, subprocess, sys, threading, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHANGED = ["sde", "sampler", "schedule.rs", "objective", "flow/likelihood.rs", "control", "model"]
# Modules of tests/ that take distributions or small networks, not files, programs or a page.
MODULES = "model prior formulas golden_steps golden_solver dsm options objectives control guidance classes samplers " \
          "convergence ode likelihood".split()
SWITCH = """
/// Whether this error was asked for.
pub fn mutant(number: usize) -> bool {
    static CHOSEN: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let chosen = || std::env::var("SCOREFIELD_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    *CHOSEN.get_or_init(chosen) == number
}
"""


def stop(message):
    sys.exit(f"scorefield: {message}")


def listed():
    """The errors that cargo-mutants can make."""
    files = [f"src/{name}" if name.endswith(".rs") else f"src/{name}/**" for name in CHANGED]
    command = ["cargo", "mutants", "--list", "--json", *(part for file in files for part in ("--file", file))]
    found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if found.returncode != 0:
        stop("cargo mutants listed nothing")
    # A constant is worked out before any variable is read.
    return [mutant for mutant in json.loads(found.stdout) if mutant["function"]]


def copy(folder):
    """Puts the files of the checkout that git knows or would add into `folder`."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class Source:
    """A file as text, with places given by line and column from 1."""

    def __init__(self, path):
        self.text = path.read_text()
        self.starts = [0] + [end.end() for end in re.finditer("\n", self.text)]

    def at(self, place):
        return self.starts[place["line"] - 1] + place["column"] - 1

    def body(self, function):
        """Where the inside of a function's braces begins and ends."""
        first, last = self.at(function["span"]["start"]), self.at(function["span"]["end"])
        name = re.escape(function["function_name"].split("::")[-1])
        signature = re.compile(rf"\bfn\s+{name}\b").search(self.text, first, last)
        depth = 0
        for i in range(signature.end(), last):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(self.text[i], 0)
            if self.text[i] == "{" and depth == 0:
                return i + 1, self.text.rindex("}", i, last)

    def wrong(self, mutant):
        """The inside of its function's braces with the error."""
        (first, last), span = self.body(mutant["function"]), mutant["span"]
        return self.text[first:self.at(span["start"])] + mutant["replacement"] + self.text[self.at(span["end"]):last]


def built_in(folder, chosen):
    """Makes a copy with the chosen errors, {number: mutant}; returns (file, first line, last line, number) of each."""
    copy(folder)
    places = []
    for file in {mutant["file"] for mutant in chosen.values()}:
        source, functions = Source(ROOT / file), {}
        for number, mutant in chosen.items():
            if mutant["file"] == file:
                functions.setdefault(source.body(mutant["function"]), []).append(number)
        text, done = "", 0
        for (first, last), numbers in sorted(functions.items()):
            if first < done:
                stop(f"{file} has drawn functions inside each other; use another seed")
            text += source.text[done:first]
            for number in numbers:
                line = text.count("\n") + 1
                text += f" if crate::mutant({number}) {{ {source.wrong(chosen[number])} }} else"
                places.append((file, line, text.count("\n") + 1, number))
            text, done = text + f" {{ {source.text[first:last]} }} ", last
        (folder / file).write_text(text + source.text[done:])
    (folder / "src/lib.rs").write_text((ROOT / "src/lib.rs").read_text() + SWITCH)
    return places


def cargo(folder, *arguments):
    """Cargo's messages."""
    command = ["nice", "-n", "5", "cargo", *arguments, "--release", "--message-format", "json"]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def refused(folder, places):
    """The numbers of the errors that the compiler refuses."""
    messages = [line["message"] for line in cargo(folder, "check", "--lib") if line["reason"] == "compiler-message"]
    errors = [message for message in messages if message["level"] == "error" and message["spans"]]
    spans = [(span["file_name"], span["line_start"]) for error in errors for span in error["spans"]]
    numbers = {n for name, line in spans for file, first, last, n in places if name == file and first <= line <= last}
    if errors and not numbers:
        stop("the copy does not compile: " + errors[0]["rendered"])
    return numbers


def drawn(folder, mutants, count):
    """The first `count` of the errors that compile together, numbered from 1, and how many do not."""
    numbered, bad = dict(enumerate(mutants, 1)), set()
    while True:
        chosen = dict([item for item in numbered.items() if item[0] not in bad][:count])
        worse = refused(folder, built_in(folder, chosen))
        if not worse:
            return chosen, len(bad)
        print(f"{len(worse)} of the drawn errors do not compile; drawing others", flush=True)
        bad |= worse


def programs(folder):
    """The unit tests and the integration tests, compiled; copied, as the checkout's own would take their place."""
    messages = cargo(folder, "test", "--no-run", "--lib", "--test", "tests")
    tests = [line for line in messages if line.get("executable") and line["profile"]["test"]]
    names = {line["target"]["name"]: line["executable"] for line in tests}
    if sorted(names) != ["scorefield", "tests"]:
        stop("the tests do not compile")
    return [shutil.copy2(names[name], folder / f"{name}.test") for name in sorted(names)]


def run(folder, program, arguments, number, limit):
    """Which test fails first: None if none does; and the seconds that it took."""
    environment = {**os.environ, "SCOREFIELD_MUTANT": str(number)}
    began = time.time()
    process = subprocess.Popen(["nice", "-n", "5", program, "--test-threads", "1", "--exact", *arguments], text=True,
                               cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    late = threading.Event()
    timer = threading.Timer(limit, lambda: (late.set(), process.kill()))
    timer.start()
    failed = None
    for line in process.stdout:
        if failed := re.match(r"test (\S+)\s+\.\.\. FAILED", line):
            process.kill()
            break
    status = process.wait()
    timer.cancel()
    name = failed[1] if failed else "(too long)" if late.is_set() else "(crash)" if status else None
    return name, time.time() - began


def quick(folder, program, seconds, pool):
    """The tests of a program that pass in so many seconds, and those of all others."""
    shown = subprocess.run([program, "--list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    # Those of a kind, in brackets, need a GPU.
    names = re.findall(r"^(?:\[\w+\] )?(\S+): test$", shown, re.M)
    wanted = [name for name in re.findall(r"^(\S+): test$", shown, re.M)
              if "scorefield" in Path(program).name or name.split("::")[0] in MODULES]
    results = list(pool.map(lambda name: run(folder, program, [name], 0, seconds), wanted))
    passed = {name: result[1] for name, result in zip(wanted, results) if result[0] is None}
    return passed, [name for name in names if name not in passed]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--count", type=int, default=60, help="errors to make")
    parser.add_argument("--seconds", type=float, default=20, help="longest test that is taken")
    options = parser.parse_args()

    mutants = sorted(listed(), key=lambda mutant: mutant["name"])
    random.Random(options.seed).shuffle(mutants)
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "mutants"
    chosen, bad = drawn(folder, mutants, options.count)
    print(f"{len(chosen)} of {len(mutants)} possible errors, seed {options.seed}; {bad} did not compile", flush=True)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        tests = []
        for program in programs(folder):
            passed, others = quick(folder, program, options.seconds, pool)
            tests.append((program, [part for name in others for part in ("--skip", name)], sum(passed.values())))
            print(f"{len(passed)} quick tests of {Path(program).name}, {sum(passed.values()):.0f} s", flush=True)

        def judge(number):
            for program, skipped, usual in tests:
                if name := run(folder, program, skipped, number, 30 + 3 * usual)[0]:
                    break
            print(f"{chosen[number]['name']}\n    {name or 'SURVIVED'}", flush=True)
            return name

        caught = sum(name is not None for name in pool.map(judge, chosen))
    print(f"{caught} of {len(chosen)} errors were noticed")


if __name__ == "__main__":
    main()
