// Gradio asks for 60 frames a second as long as a page is open, which redraws every canvas, and a training needs the
// processor: without a GPU a frame of a canvas takes a fifth of a second. A page that nobody touches for a second gets
// 4 frames a second, and after 10 seconds one. A pointer that passes over anything but a canvas needs no frames. This
// has to run before all modules.
(() => {
  const request = window.requestAnimationFrame.bind(window);
  const cancel = window.cancelAnimationFrame.bind(window);
  const waiting = new Map();
  let number = 0;
  let touched = 0;
  for (const type of ["pointermove", "pointerdown", "pointerup", "wheel", "keydown", "touchmove"]) {
    window.addEventListener(type, (event) => {
      const passes = type === "pointermove" && event.buttons === 0 && !(event.target instanceof HTMLCanvasElement);
      if (!passes) touched = performance.now();
    }, { capture: true, passive: true });
  }
  window.requestAnimationFrame = (callback) => {
    const id = ++number;
    const draw = () => {
      waiting.set(id, { frame: request((time) => { waiting.delete(id); callback(time); }) });
    };
    const rest = performance.now() - touched;
    if (rest > 1000) waiting.set(id, { timer: setTimeout(draw, rest > 10000 ? 1000 : 250) });
    else draw();
    return id;
  };
  window.cancelAnimationFrame = (id) => {
    const { timer, frame } = waiting.get(id) ?? {};
    if (timer !== undefined) clearTimeout(timer);
    if (frame !== undefined) cancel(frame);
    waiting.delete(id);
  };
})();
