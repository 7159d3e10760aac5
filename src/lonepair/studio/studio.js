// The players of source and result play, pause and seek together.
(() => {
  const IDS = ["lp-source-video", "lp-result-video"];
  const other = (video) => {
    const id = IDS.find((name) => !document.getElementById(name)?.contains(video));
    return document.querySelector(`#${id} video`);
  };
  const mirror = (event) => {
    const video = event.target;
    if (!(video instanceof HTMLVideoElement) || !IDS.some((id) => document.getElementById(id)?.contains(video))) return;
    const peer = other(video);
    if (!peer) return;
    if (Math.abs(peer.currentTime - video.currentTime) > 0.08) peer.currentTime = video.currentTime;
    if (event.type === "play" && peer.paused) peer.play().catch(() => {});
    if (event.type === "pause" && !peer.paused) peer.pause();
  };
  for (const type of ["play", "pause", "seeked"]) document.addEventListener(type, mirror, true);
})();

// A slider that is moved by the keyboard is released as soon as its key is.
document.addEventListener("keyup", (event) => {
  const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
  if (event.target instanceof HTMLInputElement && event.target.type === "range" && keys.includes(event.key)) {
    event.target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
  }
});
