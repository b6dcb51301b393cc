// What a browser remembers: who it plays as in a round (this tab alone), and the name that was typed last.

const read = (store, key) => { try { return store.getItem(key) ?? ""; } catch { return ""; } };
const write = (store, key, value) => { try { store.setItem(key, value); } catch { /* storage may be closed */ } };

export const secret = (code) => read(sessionStorage, `quiz-${code}`);
export const keepSecret = (code, value) => write(sessionStorage, `quiz-${code}`, value);
export const forget = (code) => { try { sessionStorage.removeItem(`quiz-${code}`); } catch { /* as above */ } };
export const name = () => read(localStorage, "quiz-name");
export const keepName = (value) => write(localStorage, "quiz-name", value);
