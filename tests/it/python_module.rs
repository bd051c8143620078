//! The Python module of the wheel, with the program that was built here.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::speech::{CONF, FBANK, workplace};
use crate::support::{names, put, references, root, succeed};

/// Runs Python with the module and the program, in a folder that is its cache as well.
fn python(dir: &Path, args: &[&str]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_unbraid")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    // The Python of the references sets its own PYTHONPATH.
    let start = format!(
        "import runpy, sys; sys.path.insert(0, {:?}); sys.argv = sys.argv[1:]; \
         runpy.run_path(sys.argv[0], run_name='__main__')",
        root().join("python")
    );
    let mut command = Command::new(references::python());
    command.args(["-c", &start]).args(args).current_dir(dir);
    command
        .env("PATH", format!("{}:{path}", program.display()))
        .env("XDG_CACHE_HOME", dir);
    command.output().unwrap()
}

/// Runs a script of `tests/references`, or a text.
fn succeeds(dir: &Path, script: &str, args: &[&str]) {
    let script = match script.ends_with(".py") {
        true => root().join("tests/references").join(script),
        false => {
            put(&dir.join("script.py"), script);
            dir.join("script.py")
        }
    };
    let script = script.display().to_string();
    let output = python(dir, &[&[&script[..]], args].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_the_module_reads_tables() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    put(&at.join("m.txt"), "a [ 1 2 3\n 4 5 6 ]\nb [ 7 8 9 ]\n");
    put(&at.join("v.txt"), "a [ 1 2 ]\n");
    let script = "
import unbraid
found = dict(unbraid.read('ark:m.txt'))
assert list(found) == ['a', 'b'] and found['a'].tolist() == [[1, 2, 3], [4, 5, 6]], found
assert [array.tolist() for _, array in unbraid.read('ark:v.txt', vectors=True)] == [[1, 2]]
try:
    list(unbraid.read('ark:none.ark'))
except RuntimeError as error:
    assert str(error).startswith('unbraid: none.ark: No such file'), error
else:
    raise AssertionError('read')
";
    succeeds(at, script, &[]);
}

/// What `load` gives is what `unbraid extract` gives, of a name, a folder and files.
#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_the_module_gives_what_extract_gives() {
    let dir = workplace(FBANK, CONF);
    let at = dir.path();
    let shipped = root().join("data/models/en-16k").display().to_string();
    for (model, exp) in [("en-16k", &shipped[..]), ("exp", "exp")] {
        for output in ["phonetic", "speaker"] {
            let extract = ["extract", "--device=cpu", "--exp", exp, "--output", output];
            let target = format!("ark:{output}.ark");
            succeed(
                at,
                &[&extract[..], &["--wav", "scp:data/wav.scp", &target]].concat(),
            );
            let export = ["export", "--exp", exp, "--format=onnx", "--front-end"];
            let target = format!("{output}.onnx");
            succeed(at, &[&export[..], &["--output", output, &target]].concat());
        }
        succeeds(
            at,
            "load_model.py",
            &[model, "phonetic.onnx", "speaker.onnx"],
        );
    }
    // Another load takes what is there; other weights are exported anew.
    let cache = at.join("unbraid/onnx");
    let made = names(&cache);
    assert_eq!(made.len(), 4, "{made:?}");
    let times = || {
        made.iter()
            .map(|name| fs::metadata(cache.join(name)).unwrap().modified().unwrap())
    };
    let before: Vec<_> = times().collect();
    succeeds(at, "import unbraid; unbraid.load('exp')", &[]);
    assert_eq!(times().collect::<Vec<_>>(), before);
    let other = CONF.replace("steps = 2", "steps = 3");
    put(&at.join("conf.toml"), other);
    succeed(at, &["train", "--conf=conf.toml", "--exp=exp", "--resume"]);
    succeeds(at, "import unbraid; unbraid.load('exp')", &[]);
    assert_eq!(names(&cache).len(), 6);
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_the_module_says_what_is_wrong() {
    let dir = workplace(FBANK, CONF);
    let at = dir.path();
    let export = ["export", "--exp=exp", "--format=onnx", "--output=speaker"];
    succeed(
        at,
        &[&export[..], &["--front-end", "speaker.onnx"]].concat(),
    );
    succeed(at, &[&export[..], &["features.onnx"]].concat());
    let bytes = fs::read(at.join("speaker.onnx")).unwrap();
    put(&at.join("cut.onnx"), &bytes[..bytes.len() / 2]);
    fs::create_dir(at.join("folder")).unwrap();
    for (call, expected) in [
        (
            "load('none')",
            "ValueError: model: expected one of en-16k, en-16k-causal, the folder of an experiment, or FILE.onnx, found 'none'",
        ),
        (
            "load('none.onnx')",
            "FileNotFoundError: none.onnx: expected an ONNX model, found none",
        ),
        (
            "load('cut.onnx')",
            "ValueError: cut.onnx: expected an ONNX model, found one that onnxruntime refuses: ",
        ),
        (
            "load('features.onnx')",
            "ValueError: features.onnx: expected a model of 'unbraid export --format onnx --front-end', found one that",
        ),
        (
            "load('folder')",
            "RuntimeError: unbraid: folder: expected an experiment",
        ),
        ("load('exp', 'step_000009')", "RuntimeError: unbraid: "),
        (
            "load('speaker.onnx').phonetic(samples, 16000)",
            "ValueError: model: expected one with a phonetic encoder, found speaker.onnx",
        ),
        (
            "load('speaker.onnx').speaker(samples, 8000)",
            "ValueError: rate: expected 16000 Hz, found 8000: resample the recording",
        ),
        (
            "load('speaker.onnx').speaker(samples[:9], 16000)",
            "ValueError: samples: expected 400 at least, found 9",
        ),
        (
            "load('speaker.onnx').speaker(samples.astype('int16'), 16000)",
            "ValueError: samples: expected floats of shape [samples], with full scale 1, found int16 of shape [16000]",
        ),
        (
            "load('speaker.onnx').speaker(samples[None], 16000)",
            "ValueError: samples: expected floats of shape [samples], with full scale 1, found float32 of",
        ),
        (
            "load('speaker.onnx').speaker(samples / 0, 16000)",
            "ValueError: samples: expected finite ones, found NaN or infinity",
        ),
        (
            "load(without_onnxruntime and 'exp')",
            "ModuleNotFoundError: unbraid.load needs onnxruntime, found none: pip install onnxruntime",
        ),
    ] {
        let without = match call.contains("without_onnxruntime") {
            true => "import sys; sys.modules['onnxruntime'] = None; without_onnxruntime = True",
            false => "",
        };
        let script = format!(
            "{without}\nimport numpy, unbraid\nsamples = numpy.ones(16000, 'float32')\nunbraid.{call}\n"
        );
        put(&at.join("script.py"), script);
        let output = python(at, &["script.py"]);
        let error = String::from_utf8(output.stderr).unwrap();
        let last = error.lines().last().unwrap_or_default();
        assert!(last.starts_with(expected), "{call}: {error}");
    }
}
