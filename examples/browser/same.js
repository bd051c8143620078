// Whether two recordings are of one speaker, as `unbraid same` says it: a speaker encoder in onnxruntime-web.
import * as ort from "onnxruntime-web";

const MODEL = "speaker.onnx"; // unbraid export --format onnx --front-end --output speaker
const CALIBRATION = "calibration.json"; // of the model's folder, by unbraid verify calibrate train
const LEAST_SECONDS = 0.5;
const SILENCE = 1e-3; // -60 dB of full scale

ort.env.wasm.numThreads = 1; // More need headers that a plain server does not send.

/** The encoder, and the rate of its recordings in Hz. */
const loading = (async () => {
  const response = await fetch(MODEL);
  if (!response.ok) throw new Error(`${MODEL}: expected an exported speaker encoder, found none`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  // onnxruntime-web does not show a model's metadata, which is text among the bytes.
  const rate = new TextDecoder("latin1").decode(bytes).match(/"sample_rate_hz":\s*([\d.]+)/)?.[1];
  const session = await ort.InferenceSession.create(bytes);
  if (!rate || !session.inputNames.includes("waveforms") || !session.outputNames.includes("embeddings")) {
    throw new Error(`${MODEL}: expected a model of unbraid export --front-end --output speaker, found another`);
  }
  return { session, rate: Number(rate) };
})();

/** A log-likelihood ratio from the cosine of two embeddings; nothing where the model has no calibration. */
const calibrating = (async () => {
  const response = await fetch(CALIBRATION);
  if (!response.ok) return null;
  const { model } = await response.json().catch(() => ({}));
  if (!Number.isFinite(model?.scale)) throw new Error(`${CALIBRATION}: expected a calibration, found another file`);
  return (cosine) => model.scale * cosine + model.offset;
})();

/** The samples of an audio file at the rate of the encoder, the mean of its channels. */
export async function samplesOf(file) {
  const { rate } = await loading;
  const context = new OfflineAudioContext(1, 1, rate); // It decodes to its own rate.
  let audio;
  try {
    audio = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name}: expected audio that this browser plays, found none`);
  }
  const channels = Array.from({ length: audio.numberOfChannels }, (_, channel) => audio.getChannelData(channel));
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

/** The speaker embedding of samples, of length 1. */
export async function embeddingOf(samples) {
  const { session, rate } = await loading;
  const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
  if (samples.length < LEAST_SECONDS * rate) throw new Error(`expected ${LEAST_SECONDS} s of speech or more`);
  if (!samples.some((x) => Math.abs(x - mean) >= SILENCE)) throw new Error("expected speech, found silence");
  const { embeddings } = await session.run({
    waveforms: new ort.Tensor("float32", samples, [1, samples.length]),
    lengths: new ort.Tensor("int64", BigInt64Array.of(BigInt(samples.length)), [1]),
  });
  return embeddings.data;
}

const find = (selector, within = document) => within.querySelector(selector);

/** The part of the page for one recording; `changed` is called when it has another embedding. */
class Recording {
  constructor(section, changed) {
    section.append(find("#recording").content.cloneNode(true));
    this.name = find("h2", section).textContent;
    this.section = section;
    this.changed = changed;
    this.button = find("button", section);
    this.button.setAttribute("aria-describedby", find("h2", section).id);
    this.button.onclick = () => this.attempt(() => this.record());
    const input = find("input", section);
    input.setAttribute("aria-label", `Choose a file: ${this.name}`);
    input.onchange = () => input.files.length && this.attempt(() => this.take(input.files[0]));
  }

  /** Does something whose failure is shown beside the recording. */
  async attempt(something) {
    find(".problem", this.section).textContent = "";
    try {
      await something();
    } catch (error) {
      find(".problem", this.section).textContent = error.message;
    }
  }

  /** Starts to record, or stops. */
  async record() {
    if (this.recorder) return this.recorder.stop();
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const parts = [];
    this.recorder = new MediaRecorder(stream);
    this.recorder.ondataavailable = (event) => parts.push(event.data);
    this.recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      this.recorder = null;
      this.showButton();
      this.attempt(() => this.take(new File(parts, this.name)));
    };
    this.recorder.start();
    this.showButton();
  }

  showButton() {
    this.button.textContent = this.recorder ? "Stop" : "Record";
    this.button.setAttribute("aria-pressed", Boolean(this.recorder));
  }

  /** Takes an audio file as the recording. */
  async take(file) {
    this.embedding = null;
    await this.changed();
    const samples = await samplesOf(file);
    const seconds = samples.length / (await loading).rate;
    const about = `${file.name}: ${seconds.toFixed(1)} s`;
    find(".length", this.section).textContent = about;
    draw(find("canvas", this.section), samples, about);
    const player = find("audio", this.section);
    URL.revokeObjectURL(player.src);
    Object.assign(player, { hidden: false, src: URL.createObjectURL(file), ariaLabel: this.name });
    this.embedding = await embeddingOf(samples);
    await this.changed();
  }
}

/** Draws the greatest sample of each column. */
function draw(canvas, samples, about) {
  canvas.setAttribute("aria-label", `Waveform of ${about}`);
  const ratio = devicePixelRatio;
  const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
  Object.assign(canvas, { width, height });
  const brush = canvas.getContext("2d");
  brush.fillStyle = getComputedStyle(canvas).color;
  const loudest = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6);
  const [bar, step] = [2 * ratio, 3 * ratio];
  for (let x = 0; x < width; x += step) {
    const piece = samples.subarray((x / width) * samples.length, ((x + step) / width) * samples.length);
    const peak = piece.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / loudest;
    const tall = Math.max(peak * height * 0.9, ratio);
    brush.fillRect(x, (height - tall) / 2, bar, tall);
  }
}

/** Shows an answer, which may be none. */
function show(answer, verdict, figures) {
  find("#answer").dataset.answer = answer;
  find("#answer").ariaBusy = "false";
  find("#verdict").replaceChildren(verdict);
  find("#figures").textContent = figures;
}

function strong(text) {
  return Object.assign(document.createElement("strong"), { textContent: text });
}

/** Compares the two recordings, once both are there. */
async function compare(first, second) {
  if (!first || !second) return show("none", "The answer comes when there are two recordings.", "");
  const calibrate = await calibrating;
  const cosine = first.reduce((sum, x, i) => sum + x * second[i], 0);
  const figures = `Cosine of the two speaker embeddings: ${cosine.toFixed(3)}.`;
  if (!calibrate) return show("none", strong("No answer without a calibration"), figures);
  const ratio = Math.exp(Math.abs(calibrate(cosine)));
  const times = ratio < 1e6 ? Number(ratio.toPrecision(2)).toLocaleString("en") : "More than a million";
  const [answer, verdict, likelier] =
    calibrate(cosine) > 0
      ? ["same", "The same speaker", "if one person speaks than if two do"]
      : ["different", "Two speakers", "if two people speak than if one does"];
  show(answer, strong(verdict), `${times} times likelier ${likelier}. ${figures}`);
}

const recordings = [];
const changed = () => compare(...recordings.map((recording) => recording.embedding));
for (const section of document.querySelectorAll(".recordings section")) {
  recordings.push(new Recording(section, changed));
}
try {
  await loading;
  await changed();
} catch (error) {
  show("none", "There is no answer.", "");
  find("#problem").textContent = error.message;
}
