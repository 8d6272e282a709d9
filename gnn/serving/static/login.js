// Exchanges the token for a session cookie.
document.getElementById("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token: document.getElementById("token").value }),
  });
  if (answer.ok) location.assign("/");
  else document.getElementById("problem").textContent = "This is not the token.";
});
