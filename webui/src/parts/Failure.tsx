import { Alert } from '@mantine/core';
import { Refused } from '../api';

/** Why something could not be shown or done, with everything that is wrong. */
export function Failure({ error }: { error: Error }) {
  const problems = error instanceof Refused ? error.problems : [];
  return (
    <Alert color="red" title="That did not work" role="alert" my="md">
      <div className="wrap">{error.message}</div>
      {problems.length > 1 && (
        <ul>
          {problems.map((problem, index) => (
            <li key={index}>
              {problem.place && <code>{problem.place}</code>} {problem.message}
              {problem.cure && `; ${problem.cure}`}
            </li>
          ))}
        </ul>
      )}
    </Alert>
  );
}
