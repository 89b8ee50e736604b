#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Do the pages say what is there?  Every drop reason and hand-off is explained, links
# and their anchors lead somewhere, files, symbols, verbs, options, targets and
# messages that are named exist, and the examples are the tested ones.  Reads only,
# and asks --help of the programs in $JPX_BUILD (build).
set -u
cd "$(dirname "$0")/../.." || exit 1
exec python3 - "${JPX_BUILD:-build}" <<'END'
import glob, json, os, re, subprocess, sys

build = sys.argv[1]
failed = 0


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def verdict(name, wrong):
    global failed
    wrong = list(dict.fromkeys(wrong))
    failed |= bool(wrong)
    print(f"{'not ok' if wrong else 'ok'} {name}{': ' if wrong else ''}{', '.join(wrong)}")


FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
pages = {p: read(p) for p in ["README.md", *sorted(glob.glob("docs/*.md"))]}
manuals = {p: read(p) for p in sorted(glob.glob("docs/man/*.rst"))}
prose = {p: FENCE.sub("", text) for p, text in pages.items()}
source = "\n".join(read(p) for d in ("bpf", "ctl", "include")
                   for p in sorted(glob.glob(d + "/**/*.[ch]", recursive=True)))
operations = pages.get("docs/operations.md", "")
wire_forms = pages.get("docs/wire-forms.md", "")


def inline_code(text):
    return re.findall(r"`([^`\n]+)`", text)


# ---- reasons, both ways

def section(title):
    m = re.search(r"^### " + re.escape(title) + r"$(.*?)(?=^##|\Z)", operations, re.M | re.S)
    return m.group(1) if m else ""


def rows(title):
    firsts = re.findall(r"^\| (`[^|]*) \|", section(title), re.M)
    return {word for first in firsts for word in inline_code(first)}


for title, header, macro, all_of_them in (
        ("By drop reason", "include/jpx/reasons.h", "JPX_DROP", True),
        ("By hand-off", "include/jpx/reasons.h", "JPX_HANDOFF", True),
        ("By counter of `jpreg`", "ctl/jpreg/counters.h", "JPX_REG_COUNTER", False)):
    declared = set(re.findall(macro + r'\([A-Z0-9_]+,\s*(?:\\\s*)?"([a-z_]+)"', read(header)))
    explained = rows(title)
    wrong = ["(none found)"] if not declared or not explained else []
    if all_of_them:
        wrong += [w + " is not explained" for w in sorted(declared - explained)]
    wrong += [w + " does not exist" for w in sorted(explained - declared)]
    verdict(f"operations.md, {title}", wrong)

# ---- links

def anchors(text):
    found = set()
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        while slug in found:
            slug += "-1"
        found.add(slug)
    return found


for page, text in prose.items():
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "`", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(path):
            wrong.append(target)
        elif anchor and anchor not in anchors(read(path)):
            wrong.append(target + " (no such heading)")
    verdict(f"{page}: links lead somewhere", wrong)

# ---- files and symbols

TOP = r"(bpf|ctl|docs|include|scripts|tests)/"
# Where a directory is clear from the text, files are named without it.
PLACES = ("", "bpf/", "ctl/jpd/", "docs/", "include/")


def is_path(word):
    return re.fullmatch(r"[\w.\-/]+", word) and not word.startswith(("/", "build/")) and (
        re.match(TOP, word) or re.search(r"\.(c|h|sh|md|rst|json|service|bash)$", word))


for page, text in prose.items():
    words = [w for w in inline_code(text) if is_path(w)]
    verdict(f"{page}: files that it names exist",
            [w for w in words if not any(os.path.exists(p + w) for p in PLACES)])

words = {w for w in inline_code(prose["docs/architecture.md"])
         if re.fullmatch(r"[A-Za-z]\w*(\(\))?", w) and ("_" in w or w.endswith(")")) and
         not w.startswith("XDP_")}  # the kernel's
verdict("docs/architecture.md: symbols that it names exist",
        ["(names none)"] if not words else
        [w for w in sorted(words) if not re.search(r"\b" + w.rstrip("()") + r"\b", source)])

# ---- commands

def help_of(*command):
    run = subprocess.run([os.path.join(build, command[0]), *command[1:], "--help"],
                         stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    return run.stdout


def options_of(text):
    return set(re.findall(r"^ +(?:-., )?(--[a-z-]+)", text, re.M))


PROGRAMS = "jpctl|jpd|jpreg|jpledge"
verbs = {p: set(re.findall(r"^  ([a-z]+)  ", help_of(p).partition("Verbs:")[2], re.M))
         for p in ("jpctl", "jpledge", "jpreg")}
options = {(p,): options_of(help_of(p)) for p in PROGRAMS.split("|")}
for program in verbs:
    for verb in sorted(verbs[program]):
        options[program, verb] = options_of(help_of(program, verb))
for action in ("add", "del", "list"):
    options["jpctl", "registrar"] |= options_of(help_of("jpctl", "registrar", action))
targets = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.M))
WITH_VALUE = ("--run-dir", "--pin-dir")


def judge(program, rest):
    """What is wrong with the command PROGRAM REST, as a list of words."""
    wrong, words = [], [w.strip("'`\",.:;()*[]") for w in rest.split()]
    if program == "make":
        return ["make " + w for w in words[:1] if re.fullmatch("[a-z-]+", w) and w not in targets]
    command, take = (program,), False
    for word in words:
        if take:
            take = False
        elif re.match("--[a-z]", word):
            word = word.partition("=")[0]
            known = options[command] | options[(program,)]
            if word not in known:
                wrong.append(" ".join(command) + " " + word)
            take = word in WITH_VALUE
        elif program in verbs and len(command) == 1 and re.match("[a-z]", word):
            if word not in verbs[program]:
                return [f"{program} {word}"]
            command += (word,)
    return wrong


def commands(code):
    for line in code.splitlines():
        line = re.split(r" {2,}# ", line)[0]
        if re.match(rf"({PROGRAMS})( is|: )", line):
            continue  # output
        for m in re.finditer(rf"(?:^|(?<=[\s/(]))({PROGRAMS}|make)((?: +[^\s|;&]+)*)", line):
            yield m.group(1), m.group(2)


for page, text in {**pages, **manuals}.items():
    if page in pages:
        codes = FENCE.findall(text) + inline_code(prose[page])
    else:
        codes = re.findall(rf"\*\*((?:{PROGRAMS}) [^*]+)\*\*", text)
        codes += re.findall(rf"^    ((?:{PROGRAMS}) .*)$", text, re.M)
    found = [c for code in codes for c in commands(code)]
    verdict(f"{page}: commands that it names exist",
            (["(help names no verbs)"] if not all(verbs.values()) else []) +
            [w for c in found for w in judge(*c)])

# ---- messages: what stands in quotes among the symptoms is what a program says

strings = re.sub(r'"\s*"', "", source)
wrong, quoted = [], re.findall(r'^\| [^|]*?"([^"|]+)"', section("By symptom"), re.M)
for message in quoted:
    for piece in message.split("..."):
        if re.sub(r"\b[NM]\b", "%u", piece.strip()) not in strings:
            wrong.append(f'"{message}"')
for note in re.findall(r"^note: \w+: (.*)$", operations, re.M):  # in examples of output
    if note not in strings:
        wrong.append(f'"{note}"')
verdict("operations.md: messages are what programs say", wrong if quoted else ["(none found)"])

# ---- examples

vectors = {v["hex"]: v["form"] for v in json.loads(read("tests/unit/vectors.json"))["vectors"]}
wrong, forms = [], re.findall(r'JPX_FORM\([A-Z0-9]+, "([a-z0-9-]+)"', read("include/jpx/forms.h"))
for form in forms:
    m = re.search(r"^### `" + form + r"`.*?^```$(.*?)^```$", wire_forms, re.M | re.S)
    example = ""
    for line in (m.group(1) if m else "").splitlines():
        for word in line.split():
            if not re.fullmatch(r"([0-9a-f]{2})+", word):
                break
            example += word
    if vectors.get(example) != form:
        wrong.append(form)
verdict("wire-forms.md: examples are tested vectors", wrong if forms else ["(no forms found)"])
sys.exit(failed)
END
