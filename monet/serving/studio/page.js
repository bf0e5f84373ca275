// What gradio's markup lacks for screen readers is put right as it appears.
new MutationObserver(() => {
  for (const empty of document.querySelectorAll(".empty[aria-label]:not([role])")) empty.setAttribute("role", "img");
  for (const camera of document.querySelectorAll("[aria-label='common.webcam']")) {
    camera.setAttribute("aria-label", "Use the camera");
    camera.title = "Use the camera";
  }
  for (const captioned of document.querySelectorAll("button.thumbnail-item[aria-label]")) {
    if (captioned.innerText.trim()) captioned.removeAttribute("aria-label");
  }
  for (const drop of document.querySelectorAll("button.upload-container[aria-label]")) {
    if (drop.innerText.trim()) drop.removeAttribute("aria-label"); // its text says it
    const outer = drop.parentElement.closest("button:not([role])");
    if (outer) { // a button in a button: the inner one is the one that works
      outer.setAttribute("role", "group");
      outer.tabIndex = -1;
    }
  }
}).observe(document.documentElement, { childList: true, subtree: true });
