//! The two programs of `make install`: one that starts at once, and one with networks that it becomes where it has to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::references::installed;
use crate::support::{put, unbraid};

fn run(program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).env_remove("LD_LIBRARY_PATH");
    command.output().unwrap()
}

fn error_of(program: &Path, args: &[&str]) -> String {
    let output = run(program, args);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

/// A copy of the first program in a folder of its own.
fn alone(folder: &Path) -> PathBuf {
    let program = folder.join("bin/unbraid");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::copy(installed().join("bin/unbraid"), &program).unwrap();
    program
}

#[test]
#[ignore = "needs UNBRAID_INSTALLED"]
fn with_installed_both_programs_say_what_one_says() {
    let dir = tempfile::tempdir().unwrap();
    let program = installed().join("bin/unbraid");
    for line in [
        "--help",
        "-h",
        "help",
        "data --help",
        "help verify score",
        "eval --help",
        "eval abx --help",
        "asr --help",
        "asr score --help",
        "help asr decode",
        "help eval probe",
        "train --help",
        "help extract",
        "config reference",
        "trian",
        "data nothing",
        "compute-fbank-feats",
        "probe",
        "config show --conf none.toml",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let (found, whole) = (run(&program, &args), unbraid(dir.path(), &args));
        assert_eq!(found.status.code(), whole.status.code(), "{line}");
        let texts = |output: &Output| {
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned())
        };
        assert_eq!(texts(&found), texts(&whole), "{line}");
    }
}

#[test]
#[ignore = "needs UNBRAID_INSTALLED"]
fn with_installed_the_first_program_needs_no_libtorch() {
    let dir = tempfile::tempdir().unwrap();
    let program = alone(dir.path());
    for command in [["data", "validate"], ["asr", "score"]] {
        let help = run(&program, &[command[0], command[1], "--help"]);
        assert!(help.status.success(), "{command:?}");
    }
    let error = error_of(&program, &["train", "--conf", "x.toml"]);
    assert!(
        error.starts_with("unbraid: this command needs unbraid-networks: expected it in "),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
}

/// As pip lays the wheel out.
#[test]
#[ignore = "needs UNBRAID_INSTALLED"]
fn with_installed_a_python_package_needs_pytorch_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let program = alone(dir.path());
    let packages = dir.path().join("lib/python3.12/site-packages");
    fs::create_dir_all(packages.join("unbraid/bin")).unwrap();
    let networks = packages.join("unbraid/bin/unbraid-networks");
    put(
        &networks,
        "#!/bin/sh\necho \"$@ ${LD_LIBRARY_PATH-none}\"\n",
    );
    fs::set_permissions(&networks, fs::Permissions::from_mode(0o755)).unwrap();
    let error = error_of(&program, &["train"]);
    assert_eq!(
        error,
        "unbraid: this command needs PyTorch, found none: pip install 'torch>=2.11,<2.13'\n"
    );

    let torch = packages.join("torch");
    fs::create_dir_all(torch.join("lib")).unwrap();
    put(&torch.join("lib/libtorch_cpu.so"), "");
    put(&torch.join("version.py"), "__version__ = '2.4.1+cpu'\n");
    let error = error_of(&program, &["train"]);
    assert!(
        error.contains("needs PyTorch 2.11 or 2.12, found 2.4.1+cpu in "),
        "{error}"
    );

    put(&torch.join("version.py"), "__version__ = '2.12.0'\n");
    let output = run(&program, &["train", "--exp", "a b"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "train --exp a b none\n"
    );

    // Elsewhere, as the environment's Python finds it.
    let elsewhere = dir.path().join("elsewhere/torch");
    fs::create_dir_all(dir.path().join("elsewhere")).unwrap();
    fs::rename(&torch, &elsewhere).unwrap();
    let python = dir.path().join("bin/python3");
    put(
        &python,
        format!("#!/bin/sh\necho {}\n", elsewhere.display()),
    );
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let output = run(&program, &["train"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("train {}/lib\n", elsewhere.display())
    );
}
