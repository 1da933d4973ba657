// Sends a file to the studio as it is, a piece at a time: it never is in the page, however large it is.
window.tables = (() => {
  const send = (file, drop) => {
    const said = drop.querySelector("[role=status]");
    const request = new XMLHttpRequest();
    request.open("POST", `${drop.dataset.to}?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) said.textContent = `Sending … ${Math.floor((100 * event.loaded) / event.total)} %`;
    };
    request.onload = () => {
      if (request.status === 200) location.assign(request.responseText);
      else said.textContent = request.responseText || "The file did not arrive; send it again.";
    };
    request.onerror = () => { said.textContent = "The connection was lost before the file had arrived; send it again."; };
    said.textContent = "Sending …";
    request.send(file);
  };

  const dropOf = (event) => event.target.closest?.(".drop");
  document.addEventListener("change", (event) => {
    const drop = dropOf(event);
    if (drop && event.target.type === "file" && event.target.files.length) send(event.target.files[0], drop);
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"])
    document.addEventListener(name, (event) => {
      const drop = dropOf(event);
      if (!drop) return;
      event.preventDefault();
      drop.classList.toggle("over", name === "dragenter" || name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) send(event.dataTransfer.files[0], drop);
    });
  return {};
})();
