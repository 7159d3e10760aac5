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

// Screen readers tell the fields for files apart by their labels, and open panels from closed ones.
const describeControls = () => {
  for (const button of document.querySelectorAll("button.label-wrap")) {
    button.setAttribute("aria-expanded", String(button.classList.contains("open")));
  }
  for (const button of document.querySelectorAll(".upload-container[aria-label]:not([data-lp-named])")) {
    const label = button.closest(".block")?.querySelector("[data-testid=block-label]")?.innerText.trim();
    if (!label) continue;
    button.dataset.lpNamed = "";
    button.setAttribute("aria-label", `${label}: click to upload or drop files`);
  }
};

// The divider between source and translation is moved by the arrow keys, too.
setInterval(() => {
  describeControls();
  const divider = document.querySelector("#lp-result [data-testid=slider]");
  if (!divider || divider.tabIndex === 0) return;
  divider.tabIndex = 0;
  divider.setAttribute("role", "slider");
  divider.setAttribute("aria-label", "Divider between source and translation; move it with the arrow keys");
  divider.setAttribute("aria-valuemin", "0");
  divider.setAttribute("aria-valuemax", "100");
  divider.setAttribute("aria-valuenow", "50");
  divider.addEventListener("keydown", (event) => {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!direction) return;
    event.preventDefault();
    const box = divider.getBoundingClientRect();
    const frame = divider.parentElement.getBoundingClientRect();
    const from = box.left + box.width / 2;
    const to = Math.min(frame.right, Math.max(frame.left, from + (direction * frame.width) / 20));
    const drag = (type, target, clientX) =>
      target.dispatchEvent(new MouseEvent(type, { bubbles: true, view: window, clientX, clientY: box.top + 9 }));
    drag("mousedown", divider, from);
    drag("mousemove", window, to);
    drag("mouseup", window, to);
    divider.setAttribute("aria-valuenow", String(Math.round((100 * (to - frame.left)) / frame.width)));
  });
}, 1000);
