//! The page of `examples/browser` in a real browser, on bundled recordings.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ndarray::Array1;
use serde_json::json;
use unbraid::io::kaldi::TableReader;

use crate::support::browser::Browser;
use crate::support::{put, references, root, succeed};

const RECORDINGS: [&str; 3] = ["f01-s01", "f01-s02", "m51-s01"];

/// The page with model, calibration, onnxruntime-web and recordings beside it.
fn site() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let example = root().join("examples/browser");
    let page = fs::read_to_string(example.join("index.html")).unwrap();
    let (before, rest) = page.split_once("https://").unwrap();
    let (_, after) = rest.split_once("dist/").unwrap();
    put(&at.join("index.html"), format!("{before}./ort/{after}"));
    fs::copy(example.join("same.js"), at.join("same.js")).unwrap();
    symlink(references::onnxruntime_web().join("dist"), at.join("ort")).unwrap();
    let model = root().join("data/models/en-16k");
    let calibration = at.join("calibration.json");
    fs::copy(model.join("calibration.json"), calibration).unwrap();
    let exp = model.display().to_string();
    let export = ["export", "--format=onnx", "--front-end", "--output=speaker"];
    succeed(
        at,
        &[&export[..], &["--exp", &exp, "speaker.onnx"]].concat(),
    );
    for name in RECORDINGS {
        fs::copy(recording(name), at.join(format!("{name}.flac"))).unwrap();
    }
    dir
}

fn recording(name: &str) -> PathBuf {
    root().join(format!("data/mini/audio/{name}.flac"))
}

/// Serves the files of a folder on a port of its own; the address of the page.
fn serve(folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/index.html", listener.local_addr().unwrap());
    let folder = folder.to_path_buf();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            // A browser that leaves in the middle of a file is of no account.
            std::thread::spawn(move || answer(stream, &folder).ok());
        }
    });
    address
}

fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let request = BufReader::new(stream.try_clone()?).lines();
    let head: Vec<String> = (request.map_while(Result::ok))
        .take_while(|line| !line.is_empty())
        .collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1));
    let path = folder.join(path.unwrap_or("/").trim_start_matches('/'));
    let kind = match path.extension().and_then(|kind| kind.to_str()) {
        Some("html") => "text/html",
        Some("js" | "mjs") => "text/javascript",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    };
    let (status, body) = match fs::read(path) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let head = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    write!(stream, "HTTP/1.1 {status}\r\n{head}\r\n")?;
    stream.write_all(&body)
}

/// Waits for a condition of the page.
fn wait(browser: &mut Browser, condition: &str) {
    let script = format!(
        "new Promise((done, fail) => {{
            const end = Date.now() + 60000;
            (function look() {{
                if ({condition}) return done(true);
                Date.now() > end ? fail(document.body.innerText) : setTimeout(look, 50);
            }})();
        }})"
    );
    browser.evaluate(&script);
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let found = browser.evaluate(&format!("document.querySelector('{selector}').textContent"));
    found.as_str().unwrap().trim().to_string()
}

/// Shows the page and waits until it is ready.
fn open(browser: &mut Browser, address: &str, width: u32, scheme: &str) {
    browser.open(address, width, scheme);
    wait(
        browser,
        "document.querySelector('#answer').ariaBusy === 'false'",
    );
}

/// Chooses a file for a recording of the page, and waits until it was read.
fn choose(browser: &mut Browser, place: usize, path: &Path) {
    let document = browser.call("DOM.getDocument", json!({}));
    let query = json!({"nodeId": document["root"]["nodeId"], "selector": "input"});
    let inputs = browser.call("DOM.querySelectorAll", query);
    let section = format!("document.querySelectorAll('.recordings section')[{place}]");
    browser.evaluate(&format!(
        "{section}.querySelector('.length').textContent = ''"
    ));
    let files = json!({"files": [path], "nodeId": inputs["nodeIds"][place]});
    browser.call("DOM.setFileInputFiles", files);
    let read = format!("{section}.querySelector('.length').textContent");
    let failed = format!("{section}.querySelector('.problem').textContent");
    wait(browser, &format!("{read} || {failed}"));
}

#[test]
#[ignore = "needs UNBRAID_ONNXRUNTIME_WEB and chromium"]
fn with_browser_with_onnxruntime_web_the_page_gives_what_extract_gives() {
    let dir = site();
    let at = dir.path();
    let list: String = (RECORDINGS.iter())
        .map(|name| format!("{name} {name}.flac\n"))
        .collect();
    put(&at.join("wav.scp"), list);
    let exp = root().join("data/models/en-16k").display().to_string();
    let extract = ["extract", "--device=cpu", "--output=speaker", "--exp", &exp];
    succeed(
        at,
        &[&extract[..], &["--wav", "scp:wav.scp", "ark:s.ark"]].concat(),
    );
    let mut browser = Browser::start();
    open(&mut browser, &serve(at), 1000, "light");
    let table = format!("ark:{}", at.join("s.ark").display());
    for entry in TableReader::<Array1<f32>>::open(&table).unwrap() {
        let (name, expected) = entry.unwrap();
        let found = browser.evaluate(&format!(
            "(async () => {{
                const {{ samplesOf, embeddingOf }} = await import('./same.js');
                const file = await (await fetch('{name}.flac')).blob();
                return [...await embeddingOf(await samplesOf(file))];
            }})()"
        ));
        let found: Vec<f32> = serde_json::from_value(found).unwrap();
        assert_eq!(found.len(), expected.len());
        let gaps = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let gap = gaps.fold(0f32, f32::max);
        assert!(gap < 1e-3, "{name}: {gap}");
    }
}

#[test]
#[ignore = "needs UNBRAID_ONNXRUNTIME_WEB and chromium"]
fn with_browser_with_onnxruntime_web_the_page_answers_as_same_does() {
    let dir = site();
    let at = dir.path();
    let address = serve(at);
    let mut browser = Browser::start();
    let exp = root().join("data/models/en-16k").display().to_string();
    for (second, answer, width, scheme) in [
        (RECORDINGS[1], "same", 1000, "light"),
        (RECORDINGS[2], "different", 320, "dark"),
    ] {
        open(&mut browser, &address, width, scheme);
        for (place, name) in [RECORDINGS[0], second].iter().enumerate() {
            choose(&mut browser, place, &recording(name));
        }
        wait(
            &mut browser,
            "document.querySelector('#answer').dataset.answer !== 'none'",
        );
        let found = browser.evaluate("document.querySelector('#answer').dataset.answer");
        let paths = [RECORDINGS[0], second].map(|name| recording(name).display().to_string());
        let same = ["same", "--device=cpu", "--exp", &exp, &paths[0], &paths[1]];
        let line = String::from_utf8(succeed(at, &same)).unwrap();
        assert_eq!(found, answer);
        assert!(line.starts_with(answer), "{line}");
        let cosine: f64 = line.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
        let figures = text(&mut browser, "#figures");
        let shown = figures.rsplit(' ').next().unwrap().trim_end_matches('.');
        let shown: f64 = shown.parse().unwrap();
        assert!((shown - cosine).abs() < 2e-3, "{figures} {line}");
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{wide}");
        if let Some(folder) = std::env::var_os("UNBRAID_PICTURES") {
            let picture = browser.picture();
            put(
                &PathBuf::from(folder).join(format!("{answer}.base64")),
                picture,
            );
        }
    }
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |node: &&serde_json::Value| {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        ["button", "image", "audio"].contains(&role.to_lowercase().as_str())
    };
    let controls: Vec<_> = nodes.iter().filter(named).collect();
    assert!(controls.len() >= 6, "{controls:?}");
    for node in controls {
        assert!(
            node["name"]["value"]
                .as_str()
                .is_some_and(|name| !name.is_empty()),
            "{node}"
        );
    }
}

#[test]
#[ignore = "needs UNBRAID_ONNXRUNTIME_WEB and chromium"]
fn with_browser_with_onnxruntime_web_the_page_records_and_says_what_is_wrong() {
    let dir = site();
    let at = dir.path();
    let address = serve(at);
    let mut browser = Browser::start();
    open(&mut browser, &address, 1000, "light");
    let press = "document.querySelector('.recordings button').click()";
    let pressed = "document.querySelector('.recordings button').ariaPressed";
    browser.evaluate(press);
    wait(&mut browser, &format!("{pressed} === 'true'"));
    browser.evaluate("new Promise((done) => setTimeout(done, 2500))");
    browser.evaluate(press);
    wait(
        &mut browser,
        "document.querySelector('.recordings .length').textContent.includes(' s')",
    );
    assert_eq!(text(&mut browser, ".recordings .problem"), "");
    assert_eq!(text(&mut browser, ".recordings button"), "Record");

    put(&at.join("text.wav"), "no audio");
    for (name, samples) in [("short.wav", 3000), ("silent.wav", 30000)] {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(at.join(name), spec).unwrap();
        (0..samples).for_each(|_| writer.write_sample(0i16).unwrap());
        writer.finalize().unwrap();
    }
    for (name, expected) in [
        (
            "text.wav",
            "text.wav: expected audio that this browser plays, found none",
        ),
        ("short.wav", "expected 0.5 s of speech or more"),
        ("silent.wav", "expected speech, found silence"),
    ] {
        choose(&mut browser, 0, &at.join(name));
        wait(
            &mut browser,
            "document.querySelector('.recordings .problem').textContent",
        );
        assert_eq!(text(&mut browser, ".recordings .problem"), expected);
    }
    fs::remove_file(at.join("calibration.json")).unwrap();
    open(&mut browser, &address, 1000, "light");
    for (place, name) in RECORDINGS.iter().take(2).enumerate() {
        choose(&mut browser, place, &recording(name));
    }
    wait(
        &mut browser,
        "document.querySelector('#figures').textContent",
    );
    assert_eq!(
        text(&mut browser, "#verdict"),
        "No answer without a calibration"
    );
    put(&at.join("speaker.onnx"), "none");
    for expected in [
        "",
        "speaker.onnx: expected an exported speaker encoder, found none",
    ] {
        open(&mut browser, &address, 1000, "light");
        wait(
            &mut browser,
            "document.querySelector('#problem').textContent",
        );
        let problem = text(&mut browser, "#problem");
        assert!(problem.starts_with(expected), "{problem}");
        let _ = fs::remove_file(at.join("speaker.onnx"));
    }
}
