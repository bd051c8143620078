//! ONNX models as front-ends and vocoders: of PyTorch, written here, and models that cannot be either.

use std::fs;
use std::path::Path;

use ndarray::Array2;
use tch::{Device, Tensor};
use unbraid::inference::Vocoder;
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::io::kaldi::TableReader;
use unbraid::nn::AnyFrontEnd;
use unbraid::signal::{AnyFrontEndOptions, FbankOptions, FrontEndOptions};

use crate::support::speech::{self, CONF, FBANK, recordings};
use crate::support::{fail, put, references, run_reference, succeed};

fn floats(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
}

fn assert_near<'a>(found: impl IntoIterator<Item = &'a f32>, expected: &[f32], gap: f32) {
    let found: Vec<f32> = found.into_iter().copied().collect();
    assert_eq!(found.len(), expected.len());
    let far = |(a, b): (&f32, &f32)| (a - b).abs();
    let most = (found.iter().zip(expected)).map(far).fold(0.0, f32::max);
    assert!(most <= gap, "{most}");
}

#[test]
#[ignore = "needs UNBRAID_BASELINES"]
fn with_baselines_models_of_pytorch_give_what_pytorch_gives() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let folder = at.display().to_string();
    run_reference(
        &references::baselines(),
        at,
        "outside_modules.py",
        &[&folder],
    );
    let mel = Array2::from_shape_vec((40, 33), floats(&at.join("vocoder.in"))).unwrap();
    let options = FbankOptions {
        num_mel_bins: 40,
        ..FbankOptions::default()
    };
    let options = AnyFrontEndOptions::Spectral(FrontEndOptions::from(options));
    let vocoder = Vocoder::load(&at.join("vocoder.onnx"), Device::Cpu).unwrap();
    let made = vocoder.waveform(&mel.t().to_owned(), &options).unwrap();
    assert_near(&made, &floats(&at.join("vocoder.out")), 1e-4);

    let text = format!(
        "kind = 'module'\nfile = '{folder}/features.onnx'\nsample_rate_hz = 16000\nframe_shift = 320\nframe_length = 400\ndim = 6\n"
    );
    let options: AnyFrontEndOptions = toml::from_str(&text).unwrap();
    let front_end = AnyFrontEnd::open(&options, Device::Cpu).unwrap();
    let feats = front_end.compute(&floats(&at.join("features.in"))).unwrap();
    assert_near(&feats, &floats(&at.join("features.out")), 1e-4);
}

/// A field of a protocol buffer that holds bytes.
fn field(tag: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [number(tag << 3 | 2, bytes.len()), bytes.to_vec()].concat()
}

/// A field that holds a number.
fn whole(tag: u8, value: usize) -> Vec<u8> {
    number(tag << 3, value)
}

/// Two numbers: the first byte of a field, and one in groups of seven bits.
fn number(first: u8, mut value: usize) -> Vec<u8> {
    let mut bytes = match first {
        // Two bytes hold tags above 15, of which only that of an attribute's type is written here.
        160 => vec![160, 1],
        _ => vec![first],
    };
    while value > 127 {
        bytes.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, &[usize])]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|name| field(1, name));
    let attribute = |(name, values): &(&str, &[usize])| {
        let values = values.iter().flat_map(|&value| whole(8, value));
        field(
            5,
            [field(1, name), values.collect(), number(160, 7)].concat(),
        )
    };
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    let rest = [
        field(2, output),
        field(3, "the_node"),
        field(4, operator),
        attributes,
    ]
    .concat();
    field(1, [inputs.collect(), rest].concat())
}

fn shape(sizes: &[usize]) -> Vec<u8> {
    sizes.iter().flat_map(|&size| whole(1, size)).collect()
}

fn weights(name: &str, sizes: &[usize], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    field(
        5,
        [shape(sizes), whole(2, 1), field(8, name), field(9, raw)].concat(),
    )
}

/// An input (11) or output (12) of a data type; a size of 0 is free.
fn value(tag: u8, name: &str, kind: usize, sizes: &[usize]) -> Vec<u8> {
    let size = |&size: &usize| match size {
        0 => field(1, field(2, "free")),
        _ => field(1, whole(1, size)),
    };
    let sizes: Vec<u8> = sizes.iter().flat_map(size).collect();
    let tensor = field(1, [whole(1, kind), field(2, sizes)].concat());
    field(tag, [field(1, name), field(2, tensor)].concat())
}

fn model(parts: &[Vec<u8>]) -> Vec<u8> {
    let graph = field(7, [parts.concat(), field(2, "graph")].concat());
    [whole(1, 8), graph, field(8, whole(2, 17))].concat()
}

/// `[1, bins, frames]` to `[1, 1, hop * frames]`.
fn vocoder(bins: usize, hop: usize, weight: f32) -> Vec<Vec<u8>> {
    vec![
        node(
            "ConvTranspose",
            &["x", "weight"],
            "y",
            &[("strides", &[hop]), ("pads", &[0, 0]), ("dilations", &[1])],
        ),
        weights("weight", &[bins, 1, hop], &vec![weight; bins * hop]),
        value(11, "x", 1, &[1, bins, 0]),
        value(12, "y", 1, &[1, 1, 0]),
    ]
}

/// `[1, samples]` to `[1, frames, 6]`, of 400 samples with a shift of 320.
fn features(weight: &[f32]) -> Vec<Vec<u8>> {
    let axis = [
        whole(1, 1),
        whole(2, 7),
        field(8, "axis"),
        field(9, 1u64.to_le_bytes()),
    ];
    vec![
        node("Unsqueeze", &["x", "axis"], "channel", &[]),
        node(
            "Conv",
            &["channel", "weight"],
            "conv",
            &[("strides", &[320]), ("pads", &[0, 0]), ("dilations", &[1])],
        ),
        node("Tanh", &["conv"], "tanh", &[]),
        node("Transpose", &["tanh"], "y", &[("perm", &[0, 2, 1])]),
        weights("weight", &[6, 1, 400], weight),
        field(5, axis.concat()),
        value(11, "x", 1, &[1, 0]),
        value(12, "y", 1, &[1, 0, 6]),
    ]
}

const FEATURES: &str = "kind = 'module'\nfile = 'm.onnx'\nsample_rate_hz = 16000\nframe_shift = 320\nframe_length = 400\ndim = 6\n";
const SSL: [&str; 6] = [
    "feats",
    "ssl",
    "--device=cpu",
    "--conf=front.toml",
    "scp:data/wav.scp",
    "ark:feats.ark",
];

#[test]
fn an_onnx_model_is_a_front_end() {
    let dir = speech::data();
    let at = dir.path();
    let weight: Vec<f32> = (0..2400).map(|x| (x as f32 * 0.37).sin() * 0.05).collect();
    put(&at.join("m.onnx"), model(&features(&weight)));
    put(&at.join("front.toml"), FEATURES);
    succeed(at, &SSL);
    let weight = Tensor::from_slice(&weight).view([6, 1, 400]);
    let ark = format!("ark:{}", at.join("feats.ark").display());
    let audio = recordings(at);
    let entries = TableReader::<Array2<f32>>::open(&ark).unwrap();
    let found: Vec<_> = entries.map(|entry| entry.unwrap()).collect();
    assert_eq!(found.len(), audio.len());
    for ((key, feats), (name, path)) in found.iter().zip(&audio) {
        assert_eq!(key, name);
        let samples = read_audio(path, &AudioOptions::default()).unwrap().samples;
        let x = Tensor::from_slice(&samples).view([1, 1, -1]);
        let y = x.conv1d(&weight, None::<Tensor>, [320], [0], [1], 1).tanh();
        let expected = Vec::<f32>::try_from(y.transpose(1, 2).contiguous().view([-1])).unwrap();
        assert_near(feats, &expected, 1e-5);
    }
    // Another model under the same name is refused where the checksum was recorded.
    put(
        &at.join("front.toml"),
        format!("{FEATURES}checksum = '00000000'\n"),
    );
    let error = fail(at, &SSL, b"");
    assert!(
        error.contains("m.onnx: checksum: expected \"00000000\""),
        "{error}"
    );
}

#[test]
fn an_onnx_model_is_a_vocoder() {
    let dir = speech::workplace(FBANK, CONF);
    let at = dir.path();
    let audio: Vec<String> = (recordings(at).iter())
        .map(|(_, path)| path.display().to_string())
        .collect();
    let convert = |vocoder: &'static str| {
        [
            "convert",
            "--exp=exp",
            "--out=made.wav",
            "--vocoder",
            vocoder,
            &audio[0],
            &audio[3],
        ]
    };
    put(&at.join("good.onnx"), model(&vocoder(40, 160, 1e-3)));
    succeed(at, &convert("good.onnx"));
    let samples = |path: &Path| read_audio(path, &AudioOptions::default()).unwrap().samples;
    assert_eq!(
        samples(&at.join("made.wav")).len(),
        samples(Path::new(&audio[0])).len()
    );
    fs::remove_file(at.join("made.wav")).unwrap();
    let mut without_pads = vocoder(40, 160, 1e-3);
    without_pads[0] = node("ConvTranspose", &["x", "weight"], "y", &[]);
    let cases: [(&str, Vec<u8>, &str); 6] = [
        (
            "pads.onnx",
            model(&without_pads),
            "found operator \"the_node\" failed: ",
        ),
        (
            "hop.onnx",
            model(&vocoder(40, 256, 1e-3)),
            "(160 per frame at 16000 Hz), found",
        ),
        (
            "bins.onnx",
            model(&vocoder(80, 160, 1e-3)),
            "found a model that takes [1, 80, free], not [1, 40, ",
        ),
        (
            "nan.onnx",
            model(&vocoder(40, 160, f32::NAN)),
            "nan.onnx: expected finite samples, found NaN",
        ),
        (
            "silent.onnx",
            model(&vocoder(40, 160, 0.0)),
            "silent.onnx: expected sound, found zeros",
        ),
        (
            "text.onnx",
            b"no model".to_vec(),
            "text.onnx: expected a TorchScript module (torch.jit.save) or an ONNX model, found a file that begins with \"no model\"",
        ),
    ];
    for (name, bytes, expected) in cases {
        put(&at.join(name), bytes);
        let error = fail(at, &convert(name), b"");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{error}"
        );
        assert!(!at.join("made.wav").exists());
    }
}

/// What loading a file says.
fn refusal(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    put(&path, bytes);
    let error = Vocoder::load(&path, Device::Cpu).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn models_that_cannot_run_are_named() {
    let good = vocoder(40, 160, 1e-3);
    let with = |place: usize, part: Vec<u8>| {
        let mut parts = good.clone();
        parts[place] = part;
        model(&parts)
    };
    let external = |name: &str| {
        let entry = [field(1, "location"), field(2, name)].concat();
        let tensor = [
            shape(&[40, 1, 160]),
            whole(2, 1),
            field(8, "weight"),
            field(13, entry),
            whole(14, 1),
        ];
        with(1, field(5, tensor.concat()))
    };
    let ends = "expected an ONNX model of one input and one output, both of f32, found ";
    let two = [value(11, "x", 1, &[1, 40, 0]), value(11, "noise", 1, &[1])].concat();
    for (bytes, expected) in [
        (vec![], "found an empty file".to_string()),
        (
            with(0, node("Strange", &["x", "weight"], "y", &[])),
            "Strange".into(),
        ),
        (with(2, two), format!("{ends}inputs: x, noise; outputs: y")),
        (with(2, vec![]), format!("{ends}inputs: none; outputs: y")),
        (with(3, vec![]), format!("{ends}inputs: x; outputs: none")),
        (
            with(2, value(11, "x", 10, &[1, 40, 0])),
            format!("{ends}inputs: x (of data type 10); outputs: y"),
        ),
        (external("m.onnx.data"), "m.onnx.data: No such file".into()),
        (
            external("../m.onnx.data"),
            "expected weights in a file of the same folder, found ../m.onnx.data".into(),
        ),
    ] {
        let error = refusal(&bytes);
        assert!(error.contains(&expected), "{expected}\n{error}");
    }
    // Cut off: the opset at the end is 4 bytes, without which a graph can be whole.
    let whole = model(&good);
    for length in (1..whole.len() - 4).step_by(97) {
        refusal(&whole[..length]);
    }
}

#[test]
fn weights_may_be_in_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("m.onnx");
    let mut parts = vocoder(40, 160, 1e-3);
    let entries = [
        ("location", "m.onnx.data"),
        ("offset", "0"),
        ("length", "25600"),
    ];
    let entry = |(key, value): (&str, &str)| field(13, [field(1, key), field(2, value)].concat());
    let place = [entries.map(entry).concat(), whole(14, 1)].concat();
    let tensor = [shape(&[40, 1, 160]), whole(2, 1), field(8, "weight")];
    parts[1] = field(5, [tensor.concat(), place].concat());
    put(&at, model(&parts));
    let values: Vec<u8> = (0..6400).flat_map(|_| 1e-3f32.to_le_bytes()).collect();
    put(&dir.path().join("m.onnx.data"), values);
    let options = FbankOptions {
        num_mel_bins: 40,
        ..FbankOptions::default()
    };
    let options = AnyFrontEndOptions::Spectral(FrontEndOptions::from(options));
    let vocoder = Vocoder::load(&at, Device::Cpu).unwrap();
    let made = vocoder.waveform(&Array2::ones((9, 40)), &options).unwrap();
    assert_near(&made, &[0.04; 1440], 1e-5);
}
