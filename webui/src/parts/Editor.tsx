import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, indentOnInput, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, lintGutter, setDiagnostics } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import { nonce, type Problem } from '../api';

/** Colours for job files: HOCON, of which JSON is a part, and SQL closely enough. */
const language = StreamLanguage.define({
  token(stream) {
    if (stream.eatSpace()) return null;
    if (stream.match(/^(#|\/\/|--).*/)) return 'comment';
    if (stream.match(/^"(?:[^"\\]|\\.)*"(?=\s*[:={])/)) return 'propertyName';
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return 'string';
    if (stream.match(/^\$\{[^}]*\}/)) return 'variableName';
    if (stream.match(/^-?\d[\w.]*/)) return 'number';
    if (stream.match(/^(true|false|null)\b/)) return 'bool';
    if (stream.match(/^[\w.-]+(?=\s*[:={])/)) return 'propertyName';
    if (stream.match(/^(CREATE|TABLE|WITH|INSERT|INTO|SELECT|FROM|WHERE|SET|AS)\b/i)) return 'keyword';
    if (stream.match(/^[\w.-]+/)) return null;
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: '#' } },
});

const colours = HighlightStyle.define([
  { tag: tags.comment, color: 'var(--quiet)', fontStyle: 'italic' },
  { tag: tags.propertyName, color: 'var(--run)' },
  { tag: tags.string, color: 'var(--good)' },
  { tag: [tags.number, tags.bool], color: 'var(--warn)' },
  { tag: [tags.keyword, tags.variableName], color: 'var(--accent)', fontWeight: '600' },
]);

const look = EditorView.theme({
  '&': { height: '28rem', fontSize: '0.8125rem', color: 'inherit', backgroundColor: 'transparent' },
  '.cm-scroller': { fontFamily: 'var(--mantine-font-family-monospace)', lineHeight: '1.55' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--quiet)', border: 'none' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--accent) 7%, transparent)' },
  '.cm-content': { caretColor: 'currentColor' },
  '.cm-cursor': { borderLeftColor: 'currentColor' },
  '&.cm-focused': { outline: 'none' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'color-mix(in srgb, var(--accent) 25%, transparent) !important' },
  '.cm-tooltip': { backgroundColor: 'var(--card)', border: '1px solid var(--line)', borderRadius: '8px' },
});

/** The text of a job, with what is wrong shown on its lines. */
export function Editor({ text, problems, onChange, jump }: { text: string; problems: Problem[]; onChange: (text: string) => void; jump?: { line: number } }) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const changed = useRef(onChange);
  changed.current = onChange;

  useEffect(() => {
    view.current = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(nonce),
          lineNumbers(),
          lintGutter(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          highlightActiveLine(),
          language,
          syntaxHighlighting(colours),
          look,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': 'Job file', 'aria-describedby': 'editor-keys' }),
          keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) changed.current(update.state.doc.toString());
          }),
        ],
      }),
    });
    return () => view.current?.destroy();
    // the text of the start; later ones are told below
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== text) editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const { doc } = editor.state;
    const found: Diagnostic[] = problems
      .filter((problem) => problem.line > 0 && problem.line <= doc.lines)
      .map((problem) => {
        const line = doc.line(problem.line);
        const start = line.from + (line.text.length - line.text.trimStart().length);
        return { from: start, to: line.to, severity: 'error', message: problem.message + (problem.cure ? `; ${problem.cure}` : '') };
      });
    editor.dispatch(setDiagnostics(editor.state, found));
  }, [problems]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || !jump || jump.line < 1 || jump.line > editor.state.doc.lines) return;
    const at = editor.state.doc.line(jump.line).from;
    editor.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'center' }) });
    editor.focus();
  }, [jump]);

  return (
    <>
      <div className="cm-host" ref={host} />
      <p className="quiet small" id="editor-keys">
        Tab indents; Escape, then Tab leaves the text. Control+Enter submits the job.
      </p>
    </>
  );
}
