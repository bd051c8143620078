//! `unbraid report` as a user runs it, on a small experiment with hostile names, and in a browser where there is one.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::json;
use unbraid::io::png::{Raster, write_png};

use crate::support::browser::Browser;
use crate::support::{fail, names, put, root, succeed};

const CONF: &str = "seed = 7
device = 'cpu'
[data]
train = 'data/test'
front_end = 'fbank.toml'
sampler = { kind = 'speakers', speakers = 2, utterances = 2 }
[method]
name = 'disentangle'
model.phonetic_encoder = { channels = 8, code_dim = 4 }
model.speaker_encoder = { channels = 8, embedding_dim = 4 }
model.decoder = { kind = 'conv', channels = 8 }
[train]
steps = 4
log_every = 1
threads = 1
";
/// Part of names of utterances and speakers.
const HOSTILE: &str = "<img/src=x>&\"'";

/// Two speakers with three recordings each under hostile names, `exp/a_0` with all results of a recipe, and `exp/log-mel_0`
/// beside it.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    data(at);
    put(
        &at.join("fbank.toml"),
        "kind = 'fbank'\nnum_mel_bins = 40\ndither = 0.0\n",
    );
    put(&at.join("conf.toml"), CONF);
    let feats = "ark,scp:data/test/feats.ark,data/test/feats.scp";
    succeed(
        at,
        &["fbank", "--conf=fbank.toml", "scp:data/test/wav.scp", feats],
    );
    succeed(at, &["train", "--conf=conf.toml", "--exp=exp/a_0"]);
    for representation in ["phonetic", "speaker"] {
        let to =
            format!("ark,scp:exp/a_0/{representation}_test.ark,exp/a_0/{representation}_test.scp");
        let output = format!("--output={representation}");
        succeed(
            at,
            &[
                "extract",
                "--exp=exp/a_0",
                &output,
                "scp:data/test/feats.scp",
                &to,
            ],
        );
    }
    let score = [
        "score",
        "--trials=data/test/trials",
        "--scores=exp/a_0/scores_speaker",
    ];
    succeed(
        at,
        &[
            &score[..],
            &["--out=exp/a_0/eer_speaker", "scp:exp/a_0/speaker_test.scp"],
        ]
        .concat(),
    );
    put(&at.join("exp/a_0/probe.json"), probes("phonetic", 0.375));
    put(
        &at.join("exp/log-mel_0/probe.json"),
        probes("log-mel", 0.987),
    );
    let abx = |representation: &str| {
        format!(
            "representation\ton\twithin %\tacross %\titems\n{representation}\ttext\t12.34\t23.45\t6\n"
        )
    };
    put(&at.join("exp/a_0/abx.tsv"), abx("phonetic"));
    put(&at.join("exp/a_0/attack.json"), attack());
    put(&at.join("exp/log-mel_0/abx.tsv"), abx("log-mel"));
    dir
}

fn data(at: &Path) {
    let audio = root().join("data/mini/audio");
    let all = names(&audio);
    let speakers = [&all[0], &all[all.len() - 1]].map(|name| name.split('-').next().unwrap());
    let (mut wav_scp, mut utt2spk, mut text) = (String::new(), String::new(), String::new());
    let mut ids = Vec::new();
    for speaker in speakers {
        for name in all.iter().filter(|name| name.starts_with(speaker)).take(3) {
            let id = format!("{speaker}{HOSTILE}-{}", name.split('.').next().unwrap());
            writeln!(wav_scp, "{id} {}", audio.join(name).display()).unwrap();
            writeln!(utt2spk, "{id} {speaker}{HOSTILE}").unwrap();
            writeln!(text, "{id} </svg><script>alert({})</script>", ids.len() % 3).unwrap();
            ids.push((id, speaker));
        }
    }
    let mut trials = String::new();
    for (a, first) in &ids {
        for (b, second) in ids.iter().filter(|(b, _)| b > a) {
            let answer = if first == second {
                "target"
            } else {
                "nontarget"
            };
            writeln!(trials, "{a} {b} {answer}").unwrap();
        }
    }
    for (name, content) in [
        ("wav.scp", wav_scp),
        ("utt2spk", utt2spk),
        ("text", text),
        ("trials", trials),
    ] {
        put(&at.join("data/test").join(name), content);
    }
}

/// The output of `unbraid eval attack`: one attacker, with one and with all utterances.
fn attack() -> String {
    let row = |utterances: &str, identification: f64| {
        json!({
            "representation": "phonetic", "attacker": "cosine of means", "utterances": utterances, "mean_utterances": 1.0,
            "headline": true, "dev_identification": 0.5,
            "identified": {
                "identification": identification, "linkability": 0.3, "singling_out": null, "srd_mean": 0.1, "srd_max": 0.2,
                "lid_mean": 0.1, "lid_positive": 0.5, "lid_max": 0.3, "eps_max": 1.0,
            },
            "detected": {
                "rocch_eer": 0.4, "d_sys": 0.1, "zebra_bits": 0.05, "zebra_worst": 0.4, "zebra_tag": "A", "tpr": 0.01,
            },
            "intervals": { "identification": [0.1, 0.5] },
            "worst": { "speaker": HOSTILE, "identification": 0.75 },
        })
    };
    json!({
        "options": unbraid::eval::attack::AttackOptions::default(),
        "chance": { "identification": 0.125, "rocch_eer": 0.5, "singling_out": 0.37, "tpr": 0.001 },
        "train_speakers": 18, "dev_speakers": 6, "test_speakers": 8, "utterances": [192, 80], "notes": [],
        "rows": [row("1", 0.3125), row("all", 0.6875)],
    })
    .to_string()
}

/// The output of `unbraid eval probe` for both targets.
fn probes(representation: &str, accuracy: f64) -> String {
    let result = |target: &str, chance: f64| {
        json!({
            "representation": representation, "target": target, "probe": "mlp", "accuracy": accuracy, "range": [accuracy, accuracy],
            "interval": [accuracy - 0.05, accuracy + 0.01], "chance": chance, "bits": 0.5, "entropy": 1.0, "classes": 2,
            "utterances": [60, 6], "runs": [],
        })
    };
    json!([result("speaker", 0.5), result("text", 0.333)]).to_string()
}

const REPORT: [&str; 5] = [
    "report",
    "--exp=exp/a_0",
    "--data=data/test",
    "--iterations=4",
    "--device=cpu",
];

fn page(at: &Path, args: &[&str]) -> (String, String) {
    let output = String::from_utf8(succeed(at, args)).unwrap();
    let path = output.split(": ").next().unwrap().to_string();
    let html = fs::read_to_string(at.join(path)).unwrap();
    assert_well_formed(&html);
    assert_holds_everything(&html);
    (html, output)
}

/// Elements that have no end.
const VOID: [&str; 5] = ["meta", "img", "link", "br", "wbr"];

/// Every tag is closed in order, attributes are quoted, and nothing else begins with `<`.
fn assert_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>') || matches!(open.last(), Some(&"style" | &"script")));
        rest = &rest[start + 1..];
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let (tag, after) = rest.split_at(end.expect("an end of the tag"));
        rest = &after[1..];
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "<{tag}>");
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
        // Scripts and styles are not markup.
        if let "script" | "style" = name
            && !tag.starts_with('/')
        {
            let end = rest.find(&format!("</{name}>")).unwrap();
            assert!(!rest[..end].contains("</"));
            rest = &rest[end..];
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// Everything that is loaded is in the page.
fn assert_holds_everything(html: &str) {
    for (attribute, starts) in [(" src=\"", &["data:"][..]), (" href=\"", &["#", "data:"])] {
        for found in html.split(attribute).skip(1) {
            let found = &found[..found.len().min(60)];
            assert!(
                starts.iter().any(|start| found.starts_with(start)),
                "{attribute}{found}"
            );
        }
    }
    for loads in [
        "url(",
        "@import",
        "http-equiv=\"refresh",
        "<iframe",
        "<object",
        "srcset",
        " onload",
        " onerror",
    ] {
        assert!(!html.contains(loads), "{loads}");
    }
    let ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(ids.len(), unique.len());
}

#[test]
fn a_page_has_all_results() {
    let dir = workplace();
    let at = dir.path();
    let (html, output) = page(at, &REPORT);
    assert!(
        output.starts_with("exp/a_0/report.html: 8 sections, "),
        "{output}"
    );
    assert_eq!(output.lines().count(), 1, "{output}");
    for section in [
        "Summary",
        "Retained content and speaker leakage",
        "Training",
        "Attack",
        "Detection error trade-off",
        "Maps",
        "Listen",
        "Configuration and environment",
    ] {
        assert!(
            html.contains(&format!("-title\">{section}</h2>")),
            "{section}"
        );
    }
    for part in [
        "0.688",
        "<dd>disentangle</dd>",
        "<dd>4 of 4</dd>",
        // Accuracy, interval, chance, raw features.
        "<td class=\"number\">0.375</td><td class=\"number\">0.325 - 0.385</td><td class=\"number\">0.500</td>\
         <td class=\"number\">0.987</td>",
        "<td class=\"number\">12.34</td>",
        "log-mel (raw)",
        "a_0 (this run)",
        "DET curve of speaker",
        "Phonetic representation by speaker: t-SNE",
        "Speaker representation by word: principal components",
        "unbraid eval results log-mel=exp/log-mel_0/probe.json a=exp/a_0/probe.json",
        "unbraid eval frontier --content text log-mel=exp/log-mel_0/probe.json a_0=exp/a_0/probe.json",
        "unbraid plot map exp/a_0/phonetic_test.scp --labels data/test/text --method pca --max-points 1000 --seed 0",
        "unbraid verify score --trials data/test/trials --out exp/a_0/eer_speaker scp:exp/a_0/speaker_test.scp",
        "unbraid convert --exp exp/a_0",
        "channels = 8",
        "num_mel_bins = 40",
    ] {
        assert!(html.contains(part), "{part}");
    }
    // Three utterances, five clips each.
    assert_eq!(html.matches("<audio ").count(), 15);
    assert_eq!(html.matches("data:audio/wav;base64,UklGR").count(), 15);
    // Two representations, two labels, two methods, six utterances.
    assert_eq!(html.matches("<g class=\"hinted\">").count(), 48);
    assert!(html.contains("&lt;img/src=x&gt;&amp;&quot;'"));
    assert!(html.contains("&lt;/svg&gt;&lt;script&gt;alert(0)"));
    assert!(html.len() < 4_000_000, "{}", html.len());
    // The command below a table reproduces its numbers.
    let found = succeed(
        at,
        &[
            "eval",
            "results",
            "log-mel=exp/log-mel_0/probe.json",
            "a=exp/a_0/probe.json",
        ],
    );
    assert!(String::from_utf8(found).unwrap().contains("0.375"));
}

#[test]
fn missing_files_are_reported_and_their_sections_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    put(
        &at.join("exp/b/conf.toml"),
        "[data]\ntrain = 'x'\n[method]\nname = 'disentangle'\n",
    );
    let (html, output) = page(at, &["report", "--exp=exp/b", "--out=r.html"]);
    assert!(output.starts_with("r.html: 2 sections"), "{output}");
    for line in [
        "Retained content and speaker leakage: needs probes of speaker and of content",
        "Training: needs log.jsonl",
        "Detection error trade-off: needs scores_NAME",
        "Maps: needs --data",
        "Listen: needs --data with wav.scp",
    ] {
        assert!(output.contains(&format!("left out: {line}")), "{output}");
        assert!(html.contains(&format!("<li>{line}")), "{line}");
    }
    assert!(html.contains("No results yet"));

    put(&at.join("data/utt2spk"), "u1 a\nu2 b\n");
    let with_data = ["report", "--exp=exp/b", "--data=data"];
    let (_, output) = page(at, &with_data);
    assert!(output.starts_with("exp/b/report.html: "), "{output}");
    for line in [
        "Maps: needs phonetic_data.scp or speaker_data.scp",
        "Listen: needs data/wav.scp",
    ] {
        assert!(output.contains(&format!("left out: {line}")), "{output}");
    }
    put(&at.join("data/wav.scp"), "u1 a.wav\nu2 b.wav\n");
    let (_, output) = page(at, &with_data);
    assert!(
        output.contains("left out: Listen: needs front_end.toml"),
        "{output}"
    );
    let (_, output) = page(at, &[&with_data[..], &["--utterances=0"]].concat());
    assert!(
        output.contains("left out: Listen: --utterances 0"),
        "{output}"
    );
}

#[test]
fn raw_features_are_compared_with_the_other_representations() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    put(
        &at.join("exp/b/conf.toml"),
        "[data]\ntrain = 'x'\n[method]\nname = 'disentangle'\n",
    );
    put(&at.join("exp/b/probe.json"), probes("phonetic", 0.375));
    let args = ["report", "--exp=exp/b"];
    let none =
        "which are missing: there is neither a representation of that name here nor ../log-mel_0";
    let (html, _) = page(at, &args);
    assert!(html.contains(none), "{html}");
    // `unbraid eval probe --representation log-mel=feats.scp --representation phonetic=...` writes both into one file.
    let both = [probes("log-mel", 0.987), probes("phonetic", 0.375)]
        .join(",")
        .replace("],[", ",");
    put(&at.join("exp/b/probe.json"), both);
    let (html, _) = page(at, &args);
    assert!(!html.contains(none), "{html}");
    // In its own two rows and beside both representations.
    assert_eq!(
        html.matches("<td class=\"number\">0.987</td>").count(),
        6,
        "{html}"
    );
}

#[test]
fn a_damaged_file_is_named() {
    let dir = workplace();
    let at = dir.path();
    let broken: [(&str, &[u8], &str); 14] = [
        (
            "exp/a_0/probe.json",
            b"{",
            "expected results of unbraid eval probe",
        ),
        (
            "exp/log-mel_0/probe.json",
            b"[1]",
            "expected results of unbraid eval probe",
        ),
        (
            "exp/a_0/attack.json",
            b"{\"rows\": 1}",
            "expected a list as rows",
        ),
        (
            "exp/a_0/eer_speaker.json",
            b"{\"eer\": 1}",
            "expected what unbraid verify score writes",
        ),
        (
            "exp/a_0/abx.tsv",
            b"representation\ton\nx\ty\n",
            "expected a column 'within %'",
        ),
        (
            "exp/a_0/scores.json",
            b"[]",
            "expected what unbraid image evaluate writes",
        ),
        ("exp/a_0/scores_speaker", b"a b\n", "expected"),
        (
            "exp/a_0/log.jsonl",
            b"{}\n",
            "expected a log line, found missing field `step`",
        ),
        ("exp/a_0/last/state.json", b"", "expected"),
        ("exp/a_0/front_end.toml", b"kind = 'none'\n", "expected"),
        ("exp/a_0/speaker_test.scp", b"\xff\n", "expected"),
        ("exp/a_0/conf.toml", b"seed = \n", ""),
        (
            "exp/results.json",
            b"{}",
            "expected what unbraid eval results writes",
        ),
        ("data/test/utt2spk", b"", "expected"),
    ];
    for (name, content, message) in broken {
        let path = at.join(name);
        let whole = fs::read(&path).ok();
        put(&path, content);
        let error = fail(at, &[&REPORT[..], &["--out=r.html"]].concat(), b"");
        assert!(
            error.contains(name) && error.contains(message),
            "{name}: {error}"
        );
        assert!(!at.join("r.html").exists());
        match whole {
            Some(whole) => fs::write(&path, whole).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    // Scores of another list are no error.
    let scores = fs::read_to_string(at.join("exp/a_0/scores_speaker")).unwrap();
    let (first, rest) = scores.split_once('\n').unwrap();
    fs::write(
        at.join("exp/a_0/scores_speaker"),
        format!("{rest}{first}\n"),
    )
    .unwrap();
    let (_, output) = page(at, &[&REPORT[..], &["--utterances=0"]].concat());
    assert!(
        output.contains("scores_speaker: of other trials than data/test/trials"),
        "{output}"
    );
}

#[test]
fn wrong_options_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    put(&at.join("exp/b/conf.toml"), "[data]\ntrain = 'x'\n");
    put(
        &at.join("exp/i/conf.toml"),
        "[data.train]\nkind = 'sprites'\n",
    );
    put(&at.join("data/utt2spk"), "u1 a\nu2 b\n");
    for (args, message) in [
        (
            &["--exp=none"][..],
            "none: expected an experiment's folder with a conf.toml",
        ),
        (
            &["--exp=exp/b", "--out=x.pdf"],
            "--out: expected a name that ends in .html, found 'x.pdf'",
        ),
        (&["--exp=exp/b", "--out=no/x.html"], "no/x.html: "),
        (
            &["--exp=exp/b", "--points=2"],
            "--points: expected 5 to 5000, found 2",
        ),
        (
            &["--exp=exp/b", "--iterations=0"],
            "--iterations: expected at least 1",
        ),
        (&["--exp=exp/b", "--data=none"], "none/utt2spk: "),
        (
            &["--exp=exp/i", "--data=data"],
            "--data data: expected an experiment on speech beside it, found images alone",
        ),
    ] {
        let error = fail(at, &[&["report"], args].concat(), b"");
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
    }
}

/// An image run has scores with baselines and its pictures, and no representations.
#[test]
fn images_have_their_pictures_and_scores() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let conf = "[data.train]\nkind = 'sprites'\ncount = 5\nseed = 0\n[method]\nname = 'bigan'\n";
    put(&at.join("exp/g_0/conf.toml"), conf);
    let score = json!({"set": "test<", "name": "class by a linear probe", "value": 0.8921, "beside": [["chance", 0.1135]]});
    let scores = json!({"method": "bigan", "seed": 0, "scores": [score]});
    put(&at.join("exp/g_0/scores.json"), scores.to_string());
    fs::create_dir(at.join("exp/g_0/pictures")).unwrap();
    let raster = Raster {
        channels: 1,
        height: 2,
        width: 2,
        pixels: vec![0, 90, 180, 255],
    };
    write_png(at.join("exp/g_0/pictures/a_b.png"), &raster).unwrap();
    let (html, output) = page(at, &["report", "--exp=exp/g_0"]);
    assert!(
        output.starts_with("exp/g_0/report.html: 3 sections"),
        "{output}"
    );
    for part in [
        "test&lt;",
        "<td class=\"number\">0.8921</td><td>chance 0.1135</td>",
        "alt=\"A grid of images: a b\"",
        "src=\"data:image/png;base64,iVBORw0KGgo",
        "<dd>sprites</dd>",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(
        !html.contains(">Listen<") && output.contains("left out: Maps: needs codes.scp"),
        "{output}"
    );
    put(&at.join("exp/g_0/pictures/c.png"), "no picture");
    let error = fail(at, &["report", "--exp=exp/g_0"], b"");
    assert!(
        error.contains("pictures/c.png: expected a PNG file"),
        "{error}"
    );
}

#[test]
fn several_runs_are_compared() {
    let dir = workplace();
    let at = dir.path();
    for (name, accuracy) in [("b_0", 0.625), ("b_1", 0.875)] {
        put(&at.join(format!("exp/{name}/conf.toml")), CONF);
        put(
            &at.join(format!("exp/{name}/probe.json")),
            probes("phonetic", accuracy),
        );
    }
    let args = [
        "report",
        "--exp=exp/a_0",
        "--exp=exp/b_0",
        "--exp=exp/b_1",
        "--out=all.html",
    ];
    let (html, output) = page(at, &args);
    assert!(
        output.contains("left out: b_1: Training: needs log.jsonl"),
        "{output}"
    );
    for part in [
        "<h1>a_0, b_0, b_1</h1>",
        "<h2 class=\"chapter\">Comparison</h2>",
        "<h2 class=\"chapter\">b_1</h2>",
        "0.750 ± 0.177",
        "b=exp/b_0/probe.json,exp/b_1/probe.json",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

/// In a real browser: no errors, nothing is fetched, all clips play, nothing is wider than the screen, points chosen by the
/// keyboard show their tooltip, and the page prints.
#[test]
#[ignore = "needs chromium"]
fn with_browser_a_browser_shows_plays_and_prints_it() {
    let mut browser = Browser::start();
    let dir = workplace();
    page(dir.path(), &REPORT);
    let at = dir.path().join("exp/a_0/report.html");
    let mut pictures = Vec::new();
    for width in [360, 1280] {
        for scheme in ["light", "dark"] {
            browser.show(&at, width, scheme);
            let wide = browser.evaluate("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= width.into(), "{width}: {wide}");
            pictures.push(browser.picture());
        }
    }
    assert!(pictures.iter().all(|picture| picture.len() > 10_000));
    assert!(
        pictures[0] != pictures[1] && pictures[2] != pictures[3],
        "dark and light mode look the same"
    );
    let played = browser.evaluate(
        "(async () => {
           let played = 0;
           for (const sound of document.querySelectorAll('audio')) {
             await sound.play();
             if (sound.duration > 0.1) played += 1;
           }
           return played;
         })()",
    );
    assert_eq!(played, json!(15));
    let output = browser.evaluate(
        "(() => {
           const map = document.querySelector('figure.map');
           const svg = map.querySelector('svg');
           svg.focus();
           svg.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
           return map.querySelector('output').textContent;
         })()",
    );
    assert!(output.as_str().unwrap().contains(HOSTILE), "{output}");
    let hostile = browser.evaluate("document.querySelectorAll('img, main script').length");
    assert_eq!(hostile, json!(0));
    let printed = browser.call("Page.printToPDF", json!({"printBackground": true}));
    assert!(printed["data"].as_str().unwrap().starts_with("JVBERi0"));
    for event in &browser.events {
        let method = event["method"].as_str().unwrap_or("");
        let complains = [
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
        ];
        assert!(!complains.contains(&method), "{event}");
        if method == "Network.requestWillBeSent" {
            let url = event["params"]["request"]["url"].as_str().unwrap();
            assert!(
                url.starts_with("file:") || url.starts_with("data:"),
                "{url}"
            );
        }
    }
}

/// Files of earlier versions: tables with a column `strand`, results of a representation `swap`, and old keys.
#[test]
fn files_of_earlier_versions_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let old = "[data]\ntrain = 'x'\n[method]\nname = 'disentangle'\n\
               adversaries = [{ reads = 'pairs', play = 'at_once' }]\n";
    put(&at.join("exp/b/conf.toml"), old);
    let probes = probes("swap", 0.75).replace("\"representation\"", "\"strand\"");
    put(&at.join("exp/b/probe_swap_speaker.json"), probes);
    let abx = "strand\ton\twithin %\tacross %\titems\nphonetic\ttext\t12.34\t23.45\t6\n";
    put(&at.join("exp/b/abx.tsv"), abx);
    let (html, _) = page(at, &["report", "--exp=exp/b"]);
    for part in [
        "<dd>input pairs, update gradient reversal</dd>",
        "conversion",
        "<td class=\"number\">0.750</td>",
        "<td class=\"number\">12.34</td>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("<td>swap"), "{html}");
}
