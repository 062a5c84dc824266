// A recording, in its frame, tells its height: the frame is made as high.
window.addEventListener("message", ({ source, data }) => {
  for (const frame of document.querySelectorAll("iframe.recording")) {
    if (frame.contentWindow === source && Number.isFinite(data?.recordingHeight)) {
      frame.style.height = `${Math.ceil(data.recordingHeight)}px`;
    }
  }
});
