import { diffLines } from 'diff';
import { Fragment } from 'react';

/** Two texts beside each other, line by line. */
export function Diff({ before, after }: { before: string; after: string }) {
  if (before === after) return <p className="quiet">Nothing: the files are the same.</p>;
  return (
    <pre className="code" tabIndex={0}>
      {diffLines(before, after).map((part, index) => {
        const [kind, sign] = part.added ? ['plus', '+'] : part.removed ? ['minus', '−'] : ['same', ' '];
        return (
          <Fragment key={index}>
            {part.value
              .replace(/\n$/, '')
              .split('\n')
              .map((line, at) => (
                <span key={at} className={`diff-${kind}`}>
                  {sign} {line}
                </span>
              ))}
          </Fragment>
        );
      })}
    </pre>
  );
}
