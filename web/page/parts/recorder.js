// A video of a canvas, by the browser's own recorder. What it can write differs: WebM, or MP4 in Safari.

const TYPES = ['video/webm;codecs=vp9', 'video/webm', 'video/mp4'];

/** Begins a video; `stop()` returns `{blob, ending}`, or null where the browser records none. */
export function record(canvas) {
  const type = TYPES.find((type) => window.MediaRecorder?.isTypeSupported(type));
  if (!type || !canvas.captureStream) return { stop: async () => null };
  const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: type, videoBitsPerSecond: 4e6 });
  const pieces = [];
  recorder.addEventListener('dataavailable', ({ data }) => data.size && pieces.push(data));
  recorder.start();
  return {
    stop: () =>
      new Promise((resolve) => {
        recorder.addEventListener('stop', () => {
          for (const track of recorder.stream.getTracks()) track.stop();
          const [plain] = type.split(';');
          resolve(pieces.length ? { blob: new Blob(pieces, { type: plain }), ending: plain.split('/')[1] } : null);
        });
        recorder.stop();
      }),
  };
}
