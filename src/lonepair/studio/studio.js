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
