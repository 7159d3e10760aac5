// Gradio asks for 60 frames a second as long as a page is open, which redraws every canvas, and a training needs the
// processor: a page without a pointer or a key for a second gets 4 frames a second. It has to run before all modules.
(() => {
  const request = window.requestAnimationFrame.bind(window);
  const cancel = window.cancelAnimationFrame.bind(window);
  const waiting = new Map();
  let number = 0;
  let touched = 0;
  for (const type of ["pointermove", "pointerdown", "pointerup", "wheel", "keydown", "touchmove"]) {
    window.addEventListener(type, () => { touched = performance.now(); }, { capture: true, passive: true });
  }
  window.requestAnimationFrame = (callback) => {
    const id = ++number;
    const draw = () => {
      waiting.set(id, { frame: request((time) => { waiting.delete(id); callback(time); }) });
    };
    if (performance.now() - touched > 1000) waiting.set(id, { timer: setTimeout(draw, 250) });
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
